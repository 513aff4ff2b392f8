"""The target of an HTTP request: what it names is below the root, whatever it says."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes, urlsplit

from pybootd.content.names import normalise
from pybootd.content.urls import joined
from pybootd.content.urls import shown as without_password
from pybootd.errors import NotFound
from pybootd.http.files import name_of, type_of
from tests.fuzz.support import shown

PREFIX = "http://mirror:8080/debian"
SEEDS = (
    b"/boot/vmlinuz",
    b"/a%20b/%2e%2e/c?query",
    b"http://mirror/debian/x",
    b"/%2e%2e%2f%2e%2e%2fetc/passwd",
    b"/a\\..\\..\\b",
    b"/x%00y%ff",
    b"*",
    "/\N{LATIN SMALL LETTER E WITH ACUTE}/%c3%a9/%ud800".encode(),
)


def one(data: bytes) -> None:
    """C{data} is the target as it stands in the request line."""
    try:
        name = name_of(data)
    except NotFound as error:
        shown(str(error))
        return
    assert type_of(name).isascii()
    contained(name)


def contained(name: bytes) -> None:
    """A name means a file below the root, as a path and as an URL."""
    try:
        path = normalise(name)
    except NotFound as error:
        shown(str(error))
        return
    parts = path.split("/")
    assert path
    assert "\0" not in path
    assert not {"", ".", ".."}.intersection(parts), path
    assert normalise(path) == path.rstrip("\udcff") or path.endswith("\udcff")
    url = urlsplit(joined(PREFIX, path))
    assert (url.scheme, url.netloc, url.query, url.fragment) == ("http", "mirror:8080", "", "")
    assert url.path.startswith("/debian/")
    assert unquote_to_bytes(url.path) == b"/debian/" + path.encode("utf-8", "surrogateescape")
    shown(without_password(url.geturl()), 20_000)
