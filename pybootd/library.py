"""
The boot files that the configuration names, and what they lead to: asked from outside of the running server.

C{doctor}, C{check}, C{explain} and C{boot} look here; what may be asked of a web server is the caller's to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote

from attrs import frozen

from pybootd.config import BootFile, Config
from pybootd.config.origin import Origin
from pybootd.content.content import Content, from_bytes
from pybootd.content.filters import FilenameFilter
from pybootd.content.local import LocalFiles
from pybootd.content.names import normalise
from pybootd.content.program import HEAD, unfit
from pybootd.content.resolver import Resolver, Step
from pybootd.content.templates import Templates
from pybootd.content.urls import is_url
from pybootd.dhcp.architectures import BY_NUMBER
from pybootd.dhcp.menu import LOCAL
from pybootd.errors import NotFound
from pybootd.machine import Machine

EXAMPLE = "52:54:00:00:00:01"


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


@frozen
class Found:
    """What a name led to."""

    source: str
    """A path or an URL."""
    unfit: str
    """What it is, where the machine that is told it cannot start that."""


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


class Unasked:
    """A source that fetches nothing, and believes that everything is there."""

    schemes = ("http", "https")

    def open(self, url: str) -> Content:
        """An empty content."""
        return from_bytes(url, b"")


class Library:
    """What is served here, by TFTP and by HTTP."""

    def __init__(self, config: Config, own: Sequence[str], source: Any = None) -> None:
        """
        @param own: the beginnings of URLs of this server's own HTTP.
        @param source: opens the files of web servers, at once; None: nobody is asked for them.
        @raise EnvironmentProblem: the templates cannot be used.
        """
        self._config = config
        self._own = own
        self._source: Any = Unasked() if source is None else source
        self._tftp = self._resolver(config.tftpd.root) if config.tftp else None
        self._http = self._resolver(config.http_root) if config.http_server else None

    def _resolver(self, root: str) -> Resolver:
        config = self._config
        templates = Templates(config.templates, config.directory) if config.templates else None
        return Resolver(
            root,
            config.directory,
            LocalFiles(),
            filters=(FilenameFilter(config.filters),),
            sources=(self._source,),
            templates=templates,
            ignore_case=config.tftpd.ignore_case,
        )

    def knows(self, one: Named) -> bool:
        """Whether it is served from here at all, or can be asked for: not where TFTP is another server's."""
        return is_url(one.file) or one.http or self._place(one)[1] is not None

    def speaks_http(self) -> bool:
        """Whether files are served over HTTP."""
        return self._http is not None

    def find(self, one: Named) -> Found | None:
        """
        Open the file.

        @return: None where another server has it.
        @raise ContentError: it is not to be had.
        """
        name, resolver = self._place(one)
        if resolver is None:
            content = self._source.open(one.file) if is_url(one.file) else None
        else:
            content = resolver.resolve(name, one.machine)
        if not isinstance(content, Content):
            return None
        try:
            head = content.body.read(0, HEAD) or b""
        finally:
            content.body.close()
        return Found(content.source, unfit(head, one.machine.architecture, one.ipxe))

    def explain(self, one: Named) -> Sequence[Step]:
        """What the name leads to, rule by rule; nothing, where another server has the file."""
        name, resolver = self._place(one)
        return () if resolver is None else resolver.explain(name, one.machine)

    def _place(self, one: Named) -> tuple[str, Resolver | None]:
        """What is asked for, and where: here, or (None) elsewhere."""
        for prefix in self._own:
            if one.file.startswith(prefix):
                return unquote(one.file[len(prefix) :]), self._http
        return one.file, None if is_url(one.file) else self._http if one.http else self._tftp

    def depends(self, one: Named) -> bool:
        """Whether a filter sends the name elsewhere for each machine: then there is no telling for all of them."""
        if one.machine.mac != EXAMPLE:
            return False
        try:
            FilenameFilter(self._config.filters).rewrite(normalise(self._place(one)[0]), None)
        except NotFound:
            return True
        return False
