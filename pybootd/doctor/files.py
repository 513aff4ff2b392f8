"""The boot files that the configuration names: whether a machine that asks for one would get it."""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from pybootd.config import Config
from pybootd.content.content import Content, from_bytes
from pybootd.content.urls import is_url, shown
from pybootd.dhcp.architectures import ARM_RPIBOOT, name_of
from pybootd.doctor.finding import Finding, fine, unknown, wrong
from pybootd.doctor.storage import User
from pybootd.errors import ContentError, EnvironmentProblem, NotFound, SourceFailed
from pybootd.library import Library, Named, named
from pybootd.text import printable

PATIENCE = 5.0
"""Seconds for a web server to answer."""

NO_HEAD = (405, 501)
"""It knows the file, perhaps, but not this way of asking."""


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


def _check(library: Library, one: Named, user: User) -> Finding | None:
    """Whether a machine that is told this file would get it; None: it would."""
    says = f"{one.origin} = {printable(one.file)}"
    if is_url(one.file) and not one.http and not one.ipxe:
        return wrong(f"{says}: this firmware loads by TFTP and cannot use a URL", "write a name below [tftpd] root")
    if one.http and not is_url(one.file) and not library.speaks_http():
        return wrong(f"{says}: this firmware loads by HTTP, which is off", "enable = yes in [httpd], or -H")
    if is_url(one.file) and not one.file.lower().startswith(("http://", "https://")):
        return unknown(f"{says}: cannot be asked for from here")
    try:
        found = library.find(one)
    except SourceFailed as error:
        return wrong(f"{says}: {error}", "see to it that this server reaches that web server, and gets the file")
    except ContentError as error:
        if library.depends(one):
            return None  # a filter with variables: another machine may have it
        return wrong(f"{says}: {error}", "put the file there, or mend that line")
    if found is not None and found.unfit:
        return wrong(f"{says}: {found.unfit}", f"put a boot program for {_whom(one)} there")
    closed = user.shut_out(Path(found.source)) if found is not None and found.source.startswith("/") else None
    if closed is not None:
        remedy = f"chmod {'o+rx' if closed.is_dir() else 'o+r'} {closed}"
        return wrong(f"{says}: {user} may not read {closed}", remedy)
    return None


def _whom(one: Named) -> str:
    if one.ipxe:
        return "iPXE"
    return "PC BIOS" if one.machine.architecture is None else name_of(one.machine.architecture)


def files(config: Config, own: Sequence[str], user: User) -> Iterator[Finding]:
    """
    Look for every boot file, but for those that machines are to get from another server.

    @param own: the beginnings of URLs of this server's own HTTP, such as C{http://10.0.0.1/}.
    @param user: of the running daemon; where none runs, of this process.
    """
    try:
        library = Library(config, own, HeadSource())
    except EnvironmentProblem as error:
        yield wrong(str(error), "pip install Jinja2")
        return
    ours = named(config) if config.bootpd.next_server is None else ()
    entries = [one for one in ours if one.machine.architecture != ARM_RPIBOOT and library.knows(one)]
    found = [_check(library, one, user) for one in entries]
    yield from (finding for finding in found if finding is not None)
    there = found.count(None)
    if there:
        yield fine(f"{there} boot file{'s' if there > 1 else ''} of the configuration can be had")
    if config.dhcp and not config.bootfile and not any(host.bootfile for host in config.hosts):
        yield wrong(
            "[bootfile] is empty: no machine that boots gets an answer", "[bootfile] default = FILE, x64-uefi = FILE"
        )
