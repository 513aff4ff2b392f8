"""One download, several readers: what each of them holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Source(Protocol):
    """A download, as its readers see it."""

    def read(self, offset: int, length: int) -> bytes | None:
        """As in L{pybootd.content.content.Body}."""

    def wait(self, end: int, ready: Callable[[], None]) -> None:
        """Call C{ready} when the bytes before C{end} are here, or never will be."""

    def discard(self, offset: int) -> None:
        """A reader needs nothing before C{offset} any more."""

    def leave(self) -> None:
        """A reader is done."""


class SharedBody:
    """One reader (a L{pybootd.content.content.Body})."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._open = True
        self._wanted = 0

    def fileno(self) -> int | None:
        return None

    def read(self, offset: int, length: int) -> bytes | None:
        self._wanted = offset + length
        return self._source.read(offset, length)

    def wait(self, ready: Callable[[], None]) -> None:
        self._source.wait(self._wanted, lambda: ready() if self._open else None)

    def discard(self, offset: int) -> None:
        self._source.discard(offset)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._source.leave()
