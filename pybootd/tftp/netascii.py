"""The netascii mode (RFC 764, RFC 1350 1): line ends as CR LF, a bare CR as CR NUL."""

from __future__ import annotations

from collections.abc import Callable

from pybootd.content.content import Body

CHUNK = 16384


class NetasciiBody:
    """Another body, as netascii; read forwards, with what was not discarded read again as often as need be."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._taken = 0
        """Bytes read of the original."""
        self._begin = 0
        """Where the buffer begins in the converted bytes."""
        self._buffer = b""
        self._ended = False

    def fileno(self) -> None:
        return None

    def read(self, offset: int, length: int) -> bytes | None:
        while not self._ended and self._begin + len(self._buffer) < offset + length:
            piece = self._body.read(self._taken, CHUNK)
            if piece is None:
                return None
            self._taken += len(piece)
            self._body.discard(self._taken)
            self._ended = not piece
            self._buffer += convert(piece)
        start = offset - self._begin
        return self._buffer[start : start + length]

    def wait(self, ready: Callable[[], None]) -> None:
        self._body.wait(ready)

    def discard(self, offset: int) -> None:
        if offset > self._begin:
            self._buffer = self._buffer[offset - self._begin :]
            self._begin = offset

    def close(self) -> None:
        self._body.close()


def convert(text: bytes) -> bytes:
    """A piece of a Unix text as netascii."""
    return text.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")


class Restorer:
    """Makes a Unix text of netascii, piece by piece."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """What the next piece comes to; a CR at its end waits for what follows it."""
        piece = self._held + piece
        self._held = b"\r" if piece.endswith(b"\r") else b""
        piece = piece[: len(piece) - len(self._held)]
        return piece.replace(b"\r\n", b"\n").replace(b"\r\0", b"\r")
