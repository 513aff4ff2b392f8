"""
What a name turned out to mean: the one form in which TFTP and HTTP get bytes.

A L{Content} describes; its L{Body} delivers.  Bodies are pulled: the transfer says which
bytes it needs next and which it will never need again, so that a remote file is
streamed at the client's pace and never stands whole in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import frozen


class Body(Protocol):
    """The bytes of one content, for one reader."""

    def fileno(self) -> int | None:
        """A descriptor of a regular file, for C{preadv} and C{sendfile}; None where there is no file."""

    def read(self, offset: int, length: int) -> bytes | None:
        """
        Bytes from C{offset} on; fewer than C{length} only at the end, C{b""} past it.

        @return: None where those bytes are not here yet; see L{wait}.
        @raise ContentError: the source failed; every later call raises it again.
        """

    def wait(self, ready: Callable[[], None]) -> None:
        """Call C{ready} once, when a L{read} that returned None is worth repeating (success or failure)."""

    def discard(self, offset: int) -> None:
        """Bytes before C{offset} will not be asked for again: a stream may free them and fetch on."""

    def close(self) -> None:
        """The reader is done, in whatever way; idempotent."""


@frozen(eq=False)
class Content:
    """One file, ready to be sent to one client.  Whoever receives it must close its body."""

    source: str
    """The path or URL behind it, for logs and events."""

    size: int | None
    """Bytes; None only for a remote file of unknown length."""

    body: Body

    modified: float | None = None
    """Seconds since the epoch, where known: HTTP's Last-Modified."""

    etag: str | None = None
    """A strong validator without its quotes, where known."""

    seekable: bool = True
    """Any part can be read at once; False: what comes before it has to be read and discarded first."""


class BytesBody:
    """A body that is in memory already: rendered templates, refusals that speak."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def fileno(self) -> int | None:
        return None

    def read(self, offset: int, length: int) -> bytes | None:
        return self._data[offset : offset + length]

    def wait(self, ready: Callable[[], None]) -> None:
        ready()

    def discard(self, offset: int) -> None:
        pass

    def close(self) -> None:
        pass


def from_bytes(source: str, data: bytes) -> Content:
    """A content that is all in memory."""
    return Content(source, len(data), BytesBody(data))
