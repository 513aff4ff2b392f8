"""Headers of answers that never end."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.net.heading import bound


class Transport:
    """Remembers that it was aborted."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class Connection:
    """What Twisted's client has of a connection."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data


class BoundTests(SynchronousTestCase):
    """Up to the limit everything passes; past it, nothing."""

    def setUp(self) -> None:
        self.answered = False
        self.connection = Connection()
        self.send = lambda data: self.connection.dataReceived(data)
        self.limited()

    def limited(self) -> None:
        """A request begins."""
        self.assertIs(bound(self.connection, lambda: self.answered, 10), self.connection)

    def test_too_long(self) -> None:
        """A header that is too long ends its connection, and what is too much of it is not kept."""
        self.send(b"x" * 10)
        self.assertFalse(self.connection.transport.aborted)
        self.send(b"y")
        self.assertTrue(self.connection.transport.aborted)
        self.assertEqual(self.connection.received, b"x" * 10)

    def test_answered(self) -> None:
        """A body may be of any length."""
        self.answered = True
        self.send(b"x" * 1000)
        self.assertFalse(self.connection.transport.aborted)
        self.assertEqual(len(self.connection.received), 1000)

    def test_next_request(self) -> None:
        """Each request on a connection has the whole of the limit."""
        for _ in range(3):
            self.limited()
            self.send(b"x" * 10)
        self.assertFalse(self.connection.transport.aborted)
        self.assertEqual(len(self.connection.received), 30)
