"""Being told that interfaces have changed."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pybootd.net.changes import PAUSE, SPACING, Changes, changes


class Reactor(Clock):
    """A clock that knows who reads."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[object] = []

    def addReader(self, reader: object) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: object) -> None:
        self.readers.remove(reader)


class Socket:
    """A socket with messages in it."""

    def __init__(self) -> None:
        self.messages: list[bytes | OSError] = []
        self.closed = False

    def recv(self, size: int) -> bytes:
        message = self.messages.pop(0) if self.messages else BlockingIOError()
        if isinstance(message, OSError):
            raise message
        return message

    def close(self) -> None:
        self.closed = True


class ChangesTests(SynchronousTestCase):
    """L{Changes}."""

    def setUp(self) -> None:
        """One that is read."""
        self.reactor, self.socket, self.calls = Reactor(), Socket(), 0
        self.changes = Changes(self.socket, self.called, self.reactor)  # type: ignore[arg-type]
        self.changes.start()

    def called(self) -> None:
        """Something has changed."""
        self.calls += 1

    def test_together(self) -> None:
        """However many messages come within a moment, there is one call; later ones bring another."""
        for _ in range(3):
            self.socket.messages = [b"x"] * 200
            self.changes.doRead()
        self.assertEqual(self.calls, 0)
        self.reactor.advance(PAUSE)
        self.assertEqual(self.calls, 1)
        self.reactor.advance(10)
        self.socket.messages = [b"x"]
        self.changes.doRead()
        self.reactor.advance(PAUSE)
        self.assertEqual(self.calls, 2)

    def test_all_the_time(self) -> None:
        """Where something changes all the time, there is a call now and then."""
        for _ in range(100):
            self.socket.messages = [b"x"]
            self.changes.doRead()
            self.reactor.advance(0.1)
        self.assertLessEqual(self.calls, 10 / SPACING + 1)
        self.assertGreaterEqual(self.calls, 10 / SPACING - 1)

    def test_overflow(self) -> None:
        """Messages that were lost, for there were too many, count as one."""
        self.socket.messages = [OSError(105, "No buffer space available")]
        self.changes.doRead()
        self.reactor.advance(PAUSE)
        self.assertEqual(self.calls, 1)

    def test_stopped(self) -> None:
        """Nothing is told after the end."""
        self.socket.messages = [b"x"]
        self.changes.doRead()
        self.changes.stop()
        self.reactor.advance(PAUSE)
        self.assertEqual((self.calls, self.socket.closed, self.reactor.readers), (0, True, []))

    def test_system(self) -> None:
        """This system tells, or has nobody to tell; nothing fails."""
        found = changes(self.called, self.reactor)
        if found is not None:
            found.start()
            found.doRead()
            found.stop()
