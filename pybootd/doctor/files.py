"""The boot files that the configuration names: whether a machine that asks for one would get it."""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from attrs import frozen

from pybootd.config import BootFile, Config
from pybootd.config.origin import Origin
from pybootd.content.content import Content, from_bytes
from pybootd.content.filters import FilenameFilter
from pybootd.content.local import LocalFiles
from pybootd.content.names import normalise
from pybootd.content.resolver import Resolver
from pybootd.content.templates import Templates
from pybootd.content.urls import is_url, shown
from pybootd.dhcp.architectures import ARM_RPIBOOT, BY_NUMBER
from pybootd.dhcp.menu import LOCAL
from pybootd.doctor.finding import Finding, fine, unknown, wrong
from pybootd.errors import ContentError, EnvironmentProblem, NotFound, SourceFailed
from pybootd.machine import Machine
from pybootd.text import printable

PATIENCE = 5.0
"""Seconds for a web server to answer."""

NO_HEAD = (405, 501)
"""It knows the file, perhaps, but not this way of asking."""

EXAMPLE = "52:54:00:00:00:01"


class HeadSource:
    """In place of L{pybootd.content.remote.RemoteSource}: asks, at once, whether a file is there; fetches nothing."""

    schemes = ("http", "https")

    def open(self, url: str) -> Content:
        """
        @raise NotFound: the server has no such file.
        @raise SourceFailed: it cannot be asked.
        """
        parts = urlsplit(url)
        plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        request = urllib.request.Request(plain, method="HEAD")  # noqa: S310 - http or https: the resolver sees to it
        if parts.username:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(secret.encode()).decode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=PATIENCE):
                return from_bytes(url, b"")
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in NO_HEAD:
                return from_bytes(url, b"")
            raise NotFound(f"{shown(url)}: {error.code} {printable(str(error.reason))}") from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise SourceFailed(f"{shown(url)}: {printable(str(reason))}") from None


@frozen
class Named:
    """A boot file, and who is told it."""

    file: str
    origin: Origin
    machine: Machine
    http: bool = False
    """Its firmware loads by HTTP."""
    ipxe: bool = False
    """It is an iPXE that loads, by TFTP or HTTP."""


def named(config: Config) -> Iterator[Named]:
    """Every boot file that some machine is told."""
    for entry in config.bootfile:
        yield Named(
            entry.file, entry.origin, Machine(EXAMPLE, architecture=entry.architecture), _by_http(entry), entry.ipxe
        )
    for menu in config.menus:
        for item in menu.items:
            if item.file != LOCAL:
                yield Named(item.file, item.origin, Machine(EXAMPLE, architecture=menu.architecture))
    for host in config.hosts:
        if host.bootfile:
            mac = host.mac.hex(":")
            yield Named(host.bootfile, host.origins["bootfile"], Machine(mac, variables=host.variables), ipxe=True)


def _by_http(entry: BootFile) -> bool:
    known = BY_NUMBER.get(entry.architecture if entry.architecture is not None else -1)
    return known is not None and known.http and not entry.ipxe


class Library:
    """What is served here, by TFTP and by HTTP."""

    def __init__(self, config: Config, own: Sequence[str]) -> None:
        """
        @param own: the beginnings of URLs of this server's own HTTP.
        @raise EnvironmentProblem: the templates cannot be used.
        """
        self._config = config
        self._own = own
        self._tftp = self._resolver(config.tftpd.root) if config.tftp else None
        self._http = self._resolver(config.http_root) if config.http_server else None

    def _resolver(self, root: str) -> Resolver:
        config = self._config
        source: Any = HeadSource()
        templates = Templates(config.templates, config.directory) if config.templates else None
        return Resolver(
            root,
            config.directory,
            LocalFiles(),
            filters=(FilenameFilter(config.filters),),
            sources=(source,),
            templates=templates,
            ignore_case=config.tftpd.ignore_case,
        )

    def knows(self, one: Named) -> bool:
        """Whether it is served from here at all, or can be asked for: not where TFTP is another server's."""
        return is_url(one.file) or one.http or self._place(one)[1] is not None

    def check(self, one: Named) -> Finding | None:
        """Whether a machine that is told this file would get it; None: it would."""
        says = f"{one.origin} = {printable(one.file)}"
        remedy = "put the file there, or mend that line"
        if is_url(one.file) and not one.http and not one.ipxe:
            return wrong(f"{says}: this firmware loads by TFTP and cannot use a URL", "write a name below [tftpd] root")
        if one.http and not is_url(one.file) and self._http is None:
            return wrong(f"{says}: this firmware loads by HTTP, which is off", "enable = yes in [httpd], or -H")
        name, resolver = self._place(one)
        try:
            if resolver is None and is_url(one.file):
                if not one.file.lower().startswith(("http://", "https://")):
                    return unknown(f"{says}: cannot be asked for from here")
                HeadSource().open(one.file)
            elif resolver is not None:
                content = resolver.resolve(name, one.machine)
                if isinstance(content, Content):
                    content.body.close()
        except SourceFailed as error:
            return wrong(f"{says}: {error}", "see to it that this server reaches that web server, and gets the file")
        except ContentError as error:
            if self._depends(one, name):
                return None  # a filter with variables: another machine may have it
            return wrong(f"{says}: {error}", remedy)
        return None

    def _place(self, one: Named) -> tuple[str, Resolver | None]:
        """What is asked for, and where: here, or (None) elsewhere."""
        for prefix in self._own:
            if one.file.startswith(prefix):
                return unquote(one.file[len(prefix) :]), self._http
        return one.file, None if is_url(one.file) else self._http if one.http else self._tftp

    def _depends(self, one: Named, name: str) -> bool:
        """Whether a filter sends the name elsewhere for each machine: then there is no telling for all of them."""
        if one.machine.mac != EXAMPLE:
            return False
        try:
            FilenameFilter(self._config.filters).rewrite(normalise(name), None)
        except NotFound:
            return True
        return False


def files(config: Config, own: Sequence[str]) -> Iterator[Finding]:
    """
    Look for every boot file, but for those that machines are to get from another server.

    @param own: the beginnings of URLs of this server's own HTTP, such as C{http://10.0.0.1/}.
    """
    try:
        library = Library(config, own)
    except EnvironmentProblem as error:
        yield wrong(str(error), "pip install Jinja2")
        return
    ours = named(config) if config.bootpd.next_server is None else ()
    entries = [one for one in ours if one.machine.architecture != ARM_RPIBOOT and library.knows(one)]
    found = [library.check(one) for one in entries]
    yield from (finding for finding in found if finding is not None)
    there = found.count(None)
    if there:
        yield fine(f"{there} boot file{'s' if there > 1 else ''} of the configuration can be had")
    if config.dhcp and not config.bootfile and not any(host.bootfile for host in config.hosts):
        yield wrong(
            "[bootfile] is empty: no machine that boots gets an answer", "[bootfile] default = FILE, x64-uefi = FILE"
        )
