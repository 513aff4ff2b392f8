"""L{pybootd.net.ending}."""

from __future__ import annotations

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pybootd.net.ending import minded


class Connection:
    """What Twisted's client has of a connection."""

    def __init__(self, seen: list[str]) -> None:
        self._seen = seen

    def connectionLost(self, reason: Failure) -> None:
        self._seen.append("lost")


class MindedTests(SynchronousTestCase):
    """Whoever reads a body learns first whether its end is one."""

    def setUp(self) -> None:
        self.seen: list[str] = []
        self.connection = Connection(self.seen)

    def minded(self, name: str) -> None:
        """A request begins."""
        made = minded(self.connection, lambda reason: self.seen.append(f"{name} {type(reason.value).__name__}"))
        self.assertIs(made, self.connection)

    def test_ends(self) -> None:
        """Closed in order there is nothing to tell; else it is told before the protocol learns of it."""
        for end, told in (
            (ConnectionDone(), ["lost"]),
            (ConnectionLost(), ["one ConnectionLost", "lost"]),
            (ConnectionAborted(), ["one ConnectionAborted", "lost"]),
        ):
            self.minded("one")
            self.connection.connectionLost(Failure(end))
            self.assertEqual(self.seen, told)
            self.seen.clear()

    def test_next_request(self) -> None:
        """Of several requests on one connection the last is told."""
        self.minded("one")
        self.minded("other")
        self.connection.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.seen, ["other ConnectionLost", "lost"])
