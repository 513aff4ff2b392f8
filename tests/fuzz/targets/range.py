"""Conditions and ranges of an HTTP request: never more than the file, never a part that is not in it."""

from __future__ import annotations

from pybootd.content.content import BytesBody, Content
from pybootd.http.selection import Conditions, select

SEEDS = (
    b"bytes=0-499",
    b"bytes=-1",
    b"bytes=500-,600-700",
    b'bytes=0-\n"e-1"',
    b'bytes=1-2\n"other"\nW/"e-1", "x"',
    b"bytes=0-1\n\n*\nThu, 01 Jan 1970 00:01:40 GMT",
    b"bytes=000000000000000000-999999999999999999",
)

_FILES = (
    *(Content("x", size, BytesBody(b""), modified=100.7, etag="e-1", seekable=True) for size in (0, 1, 1000, 1 << 62)),
    Content("x", None, BytesBody(b"")),
)


def one(data: bytes) -> None:
    """C{data} is Range, If-Range, If-None-Match and If-Modified-Since, a line each; an empty one is not sent."""
    fields = [line or None for line in data.split(b"\n")[:4]]
    conditions = Conditions(*fields)
    for file in _FILES:
        answer = select(file, conditions)
        assert answer.status in (200, 206, 304, 416)
        if answer.status in (304, 416):
            assert answer.length == 0
        elif file.size is None:
            assert (answer.status, answer.begin, answer.end) == (200, 0, None)
        else:
            assert answer.end is not None
            assert 0 <= answer.begin <= answer.end <= file.size
            assert answer.status == 200 or answer.begin < answer.end
        if answer.range is not None:
            assert b"\r" not in answer.range
            assert answer.range.startswith(b"bytes ")
