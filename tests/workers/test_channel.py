"""Messages and descriptors between two processes, here both ends in one."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from pybootd.workers.channel import Channel, pair
from pybootd.workers.messages import Drop, Look, Message, SendFile
from tests.support.tree import open_descriptors
from tests.support.workers import Reactor


class ChannelTests(SynchronousTestCase):
    def setUp(self) -> None:
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors leaked"))
        self.reactor = Reactor()
        self.received: list[tuple[Message, Sequence[int]]] = []
        self.ends: list[str] = []
        one, self.raw = pair()
        self.addCleanup(self.raw.close)
        self.channel = Channel(one, self.reactor, self.take, lambda: self.ends.append("one"))
        self.addCleanup(self.channel.close)
        self.channel.start()

    def take(self, message: Message, descriptors: Sequence[int]) -> None:
        self.received.append((message, descriptors))

    def other(self) -> Channel:
        """The other end at work."""
        channel = Channel(self.raw, self.reactor, self.take, lambda: self.ends.append("other"))
        self.addCleanup(channel.close)
        channel.start()
        return channel

    def test_messages(self) -> None:
        """They arrive one by one, in order."""
        self.other()
        for number in range(5):
            self.channel.send(Drop(number))
        self.reactor.turn()
        self.assertEqual([message for message, _ in self.received], [Drop(number) for number in range(5)])

    def test_descriptors(self) -> None:
        """Descriptors arrive as ones of the receiver's own, and stay out of programs that it starts."""
        self.other()
        path = self.mktemp()
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(b"content")
        fd = os.open(path, os.O_RDONLY)
        self.assertTrue(self.channel.hand(SendFile(1, 0, 7), (fd, fd)))
        os.close(fd)
        self.reactor.turn()
        [(message, descriptors)] = self.received
        self.assertEqual(message, SendFile(1, 0, 7))
        for own in descriptors:
            self.assertEqual(os.pread(own, 100, 0), b"content")
            self.assertFalse(os.get_inheritable(own))
            os.close(own)

    def test_full(self) -> None:
        """Where the other side does not read, nothing is handed over, and what has to be said waits until it does."""
        for number in range(5000):
            self.channel.send(Drop(number))
        self.assertGreater(self.channel.waiting, 0)
        self.assertFalse(self.channel.hand(Look(0), (0,)))
        self.assertEqual(self.reactor.writers, [self.channel])
        self.other()
        for _ in range(200):
            self.reactor.turn()
        self.assertEqual([message for message, _ in self.received], [Drop(number) for number in range(5000)])
        self.assertEqual((self.channel.waiting, self.reactor.writers), (0, []))

    def test_end(self) -> None:
        """An end is noticed once, by the other side only; what is said then is said to nobody."""
        other = self.other()
        self.channel.close()
        self.channel.close()
        self.reactor.turn()
        self.reactor.turn()
        self.assertEqual(self.ends, ["other"])
        other.send(Drop(1))
        self.assertFalse(other.hand(Drop(1), ()))
        self.assertEqual(self.reactor.readers, [])

    def test_drain(self) -> None:
        """What was said before the end is heard, without a word about the end."""
        other = self.other()
        for number in range(100):
            other.send(Drop(number))
        other.close()
        self.channel.drain()
        self.assertEqual(len(self.received), 100)
        self.assertEqual(self.ends, [])

    def test_nonsense(self) -> None:
        """What is no message is logged, and its descriptors are closed; the next one counts."""
        with open(os.devnull, "rb") as file:  # noqa: PTH123
            socket.send_fds(self.raw, [b"nonsense"], [file.fileno()])
        self.raw.send(b'["drop", 1]')
        self.reactor.turn()
        [(message, descriptors)] = self.received
        self.assertEqual((message, list(descriptors)), (Drop(1), []))
