"""A socket in the reactor, and what becomes of it when there is an error."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.net.reader import SocketReader


class Socket:
    """A socket with an error that is pending, or none."""

    def __init__(self, error: int = 0) -> None:
        self.error = error
        self.closed = False

    def getsockopt(self, level: int, option: int) -> int:
        if self.closed:
            raise OSError(9, "Bad file descriptor")
        error, self.error = self.error, 0
        return error

    def close(self) -> None:
        self.closed = True


class Reactor:
    """Who reads."""

    def __init__(self) -> None:
        self.readers: list[object] = []

    def addReader(self, reader: object) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: object) -> None:
        if reader in self.readers:
            self.readers.remove(reader)


class ReaderTests(SynchronousTestCase):
    """L{SocketReader}."""

    def lost(self, error: int) -> tuple[bool, bool]:
        """Whether the socket is closed, and read, after the reactor gave it up."""
        sock, reactor = Socket(error), Reactor()
        reader = SocketReader(sock, reactor)  # type: ignore[arg-type]
        reader.start()
        reactor.removeReader(reader)
        reader.connectionLost(None)
        return sock.closed, reader in reactor.readers

    def test_network_down(self) -> None:
        """An error that is pending, for the network was down, ends nothing."""
        self.assertEqual(self.lost(100), (False, True))

    def test_end(self) -> None:
        """Where there is none, it is the reactor's end, and the socket's."""
        self.assertEqual(self.lost(0), (True, False))

    def test_closed(self) -> None:
        """A socket that is closed already is left alone."""
        sock, reactor = Socket(), Reactor()
        reader = SocketReader(sock, reactor)  # type: ignore[arg-type]
        reader.start()
        reader.stop()
        reader.connectionLost(None)
        self.assertEqual((sock.closed, reactor.readers), (True, []))
