"""Names, patterns and values of C{[filters]}: a pattern matches what it says, and no name leads a value astray."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from posixpath import join, normpath
from urllib.parse import urlsplit

from zope.interface import implementer

from pybootd.config import Pattern
from pybootd.config.origin import Origin
from pybootd.content.content import Content, from_bytes
from pybootd.content.filters import FilenameFilter
from pybootd.content.local import LocalFiles
from pybootd.content.names import normalise
from pybootd.content.patterns import Value, compile_pattern
from pybootd.content.resolver import Resolver
from pybootd.errors import ContentError, NotFound
from pybootd.interfaces import IFileSource
from pybootd.machine import Machine
from tests.fuzz.support import shown
from tests.fuzz.targets.target import contained

SEEDS = (
    b"pxelinux.0",
    b"pxelinux.cfg/01-52\0pxelinux.cfg/*\0./cfg/{mac}\0node7",
    b"a/b/c\0*/?/*\0http://mirror/x/{filename}\0../../etc",
    b"a?b#c@d\0*\0http://mirror/x/{filename}\0x",
    b"boot\0*\0[./names/{hostname}]\0/etc/passwd",
    b"x\0*x*\0{hostname}\0http://evil/x",
    b"\\Boot\\BCD\xff\0Boot\\*\0there/{filename}\0x",
)


class Files(LocalFiles):
    """Opens nothing; remembers what it was to open."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[tuple[str, str]] = []
        self.fetched: list[str] = []

    def open(self, root: str, name: str, ignore_case: bool = False) -> Content:
        self.opened.append((root, name))
        return from_bytes("x", b"")

    def read(self, root: str, name: str, limit: int, ignore_case: bool = False) -> bytes:
        self.opened.append((root, name))
        return b"fixed"


@implementer(IFileSource)
class Source:
    """Fetches nothing; remembers what it was to fetch."""

    schemes = ("http", "https")

    def __init__(self, files: Files) -> None:
        self._files = files

    def open(self, url: str) -> Content:
        self._files.fetched.append(url)
        return from_bytes(url, b"")


def one(data: bytes) -> None:
    """C{data} is a name, a pattern, a value and a host name, with NULs between them."""
    name, pattern, value, hostname, *_ = *data.split(b"\0"), b"*", b"", b""
    contained(name)
    _matched(pattern.decode("latin-1"), name.decode("latin-1"))
    _filled(name, pattern.decode("utf-8", "replace"), value.decode("utf-8", "replace"), hostname)


def _matched(pattern: str, name: str) -> None:
    """The pattern, tried in the plainest way: each C{*} at every place."""
    plain = pattern.replace("\\", "/")
    while plain.startswith(("/", "./")):
        plain = plain.removeprefix(".").removeprefix("/")
    reached = {0}
    for letter in plain:
        if letter == "*":
            reached = set(range(min(reached, default=len(name) + 1), len(name) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(name) and letter in ("?", name[at])}
    matches = compile_pattern(pattern).fullmatch(name) is not None
    assert matches == (len(name) in reached), (pattern, name)


def _filled(name: bytes, pattern: str, text: str, hostname: bytes) -> None:
    """What a filter with variables leads to is below what stands before the first of them."""
    if not (pattern + text).isprintable():
        return  # the administrator's own
    try:
        value = Value.parse(text)
        filters = FilenameFilter([Pattern(pattern, text, Origin("x.ini", 1, "filters", pattern))])
    except ValueError as error:
        shown(str(error))
        return
    files = Files()
    host = hostname.decode("utf-8", "surrogateescape")
    machine = Machine("52:54:00:12:34:56", hostname=host, address=IPv4Address("10.0.0.7"))
    resolver = Resolver("/srv/root", Path("/srv"), files, filters=[filters], sources=[Source(files)])
    try:
        resolver.resolve(name, machine)
    except ContentError as error:
        shown(str(error), 20_000)
    for url in files.fetched:
        _below(url, value)
    for root, opened in files.opened:
        asked = opened == normalised(name)
        if value.base is None and not asked:
            continue  # the administrator's own, and taken as it stands
        assert not {"", ".", ".."}.intersection(opened.split("/")), opened
        if value.base is not None and not value.indirect and not asked:
            home = "/srv" if value.base.startswith("./") else "/srv/root"
            assert root == normpath(join(home, value.base)), (root, value)


def _below(url: str, value: Value) -> None:
    """What variables brought into an URL changed its path and nothing else."""
    if value.base is None:
        return  # the administrator's own
    assert url.startswith(value.base)
    try:
        before = urlsplit(value.base)
    except ValueError:
        return  # no URL that could be fetched
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == (before.scheme, before.netloc, "", "")
    assert not {".", ".."}.intersection(url.removeprefix(value.base).split("/")), url


def normalised(name: bytes) -> str:
    """The name by which the root is asked where no filter matches."""
    try:
        return normalise(name)
    except NotFound:
        return ""
