"""Parts of files at the end of a turn."""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from pybootd.http.outbox import Outbox, Part
from tests.support.http import Reactor, Transport

DATA = os.urandom(5000)


class Sender:
    """Has a part of a file for one client."""

    def __init__(self) -> None:
        self.transport = Transport("192.0.2.7")
        self.counts: list[int] = []
        self.then: Callable[[], None] = lambda: None

    def left(self, part: Part, sent: int) -> None:
        self.counts.append(sent)
        then, self.then = self.then, lambda: None
        then()

    def received(self) -> bytes:
        try:
            return self.transport.theirs.recv(1 << 16)
        except BlockingIOError:
            return b""


class OutboxTests(SynchronousTestCase):
    """What is sent when, and what is not."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.outbox = Outbox(self.reactor, None)
        path = self.mktemp()
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(DATA)
        self.file = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, self.file)
        self.senders = [Sender(), Sender()]
        for sender in self.senders:
            self.addCleanup(sender.transport.theirs.close)
            self.addCleanup(sender.transport.ours.close)

    def put(self, which: int, begin: int, end: int) -> None:
        sender = self.senders[which]
        self.outbox.put(sender, Part(sender.transport.ours, self.file, begin, end))

    def seen(self) -> list[tuple[bytes, list[int]]]:
        """For each sender what its client has, and what it was told."""
        return [(sender.received(), sender.counts) for sender in self.senders]

    def test_end_of_turn(self) -> None:
        """Nothing leaves before the turn's end, then everything, and in the next turn no more of it."""
        self.put(0, 5, 1005)
        self.put(1, 0, 7)
        self.assertEqual(self.seen(), [(b"", []), (b"", [])])
        self.reactor.turn()
        self.assertEqual(self.seen(), [(DATA[5:1005], [1000]), (DATA[:7], [7])])
        self.reactor.turn()
        self.assertEqual(self.seen(), [(b"", [1000]), (b"", [7])])

    def test_withdrawn(self) -> None:
        """What was withdrawn does not leave: its descriptor may be another file's by then."""
        self.put(0, 0, 10)
        self.put(1, 0, 10)
        self.outbox.withdraw(self.senders[0])
        self.reactor.turn()
        self.assertEqual(self.seen(), [(b"", []), (DATA[:10], [10])])
        self.outbox.withdraw(self.senders[1])

    def test_broken(self) -> None:
        """A connection that is gone costs the others nothing; its sender hears that nothing has left."""
        self.put(0, 0, 10)
        self.put(1, 0, 10)
        self.senders[0].transport.ours.close()
        self.reactor.turn()
        self.assertEqual(self.senders[0].counts, [0])
        self.assertEqual(self.senders[1].received(), DATA[:10])

    def test_again(self) -> None:
        """Who is told may have another part at once."""
        first = self.senders[0]
        self.put(0, 0, 10)
        first.then = lambda: self.put(0, 10, 20)
        self.reactor.turn()
        self.assertEqual((first.received(), first.counts), (DATA[:20], [10, 10]))
