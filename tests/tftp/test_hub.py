"""Where transfers wait for their sockets: beside a reactor's own epoll, or as descriptors of a reactor without."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pybootd.tftp.hub import FEW, EpollHub, ReactorHub, hub


class EpollReactor(Clock):
    """A reactor's timers and its epoll, without its loop."""

    def __init__(self) -> None:
        super().__init__()
        self._poller = select.epoll()

    def timeout(self) -> float | None:
        """Never so long that a test would hang."""
        return min([5.0, *(max(0.0, call.getTime() - self.seconds()) for call in self.getDelayedCalls())])

    def turn(self) -> None:
        """Run the timers that are due; those that they set wait for the next turn, as in a reactor."""
        for call in [call for call in self.calls if call.getTime() <= self.seconds()]:
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)

    def watch(self, fd: int) -> None:
        self._poller.register(fd, select.EPOLLIN)

    def close(self) -> None:
        self._poller.close()


class PlainReactor(Clock):
    """A reactor that has descriptors, but no epoll."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []
        self.writers: list[Any] = []

    def addReader(self, reader: object) -> None:
        self.readers.append(reader)

    def addWriter(self, writer: object) -> None:
        self.writers.append(writer)

    def removeReader(self, reader: object) -> None:
        self.readers.remove(reader)

    def removeWriter(self, writer: object) -> None:
        if writer in self.writers:
            self.writers.remove(writer)


class Member:
    """Writes down what it hears."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.heard: list[bytes] = []
        self.wrote = self.failures = 0
        self.then: Callable[[], object] = lambda: True

    def readable(self, now: float) -> bool:
        self.heard.append(self.sock.recv(100))
        return bool(self.then())

    def writable(self, now: float) -> None:
        self.wrote += 1

    def failed(self) -> None:
        self.failures += 1


class HubCase(SynchronousTestCase):
    """Helpers: members with a peer each."""

    def pair(self) -> tuple[socket.socket, socket.socket]:
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in ends:
            end.setblocking(False)
            self.addCleanup(end.close)
        return ends

    def guarded(self) -> tuple[Member, socket.socket]:
        own, peer = self.pair()
        guard = Member(own)
        self.hub.watch(own.fileno(), guard)
        return guard, peer

    def member(self) -> tuple[Member, socket.socket]:
        guard, peer = self.guarded()
        member = Member(guard.sock)
        self.hub.add(guard.sock.fileno(), member)
        return member, peer

    def leave(self, member: Member) -> None:
        self.hub.remove(member.sock.fileno())
        self.hub.unwatch(member.sock.fileno())

    def see_calm(self) -> None:
        members = [self.member()[0] for _ in range(FEW)]
        self.assertTrue(self.hub.calm)
        one, _ = self.member()
        self.assertFalse(self.hub.calm)
        for member in (one, *members):
            self.leave(member)
        self.assertTrue(self.hub.calm)


class EpollHubTests(HubCase):
    if not hasattr(select, "epoll"):
        skip = "this system has no epoll"

    def setUp(self) -> None:
        self.reactor = EpollReactor()
        self.addCleanup(self.reactor.close)
        self.hub = hub(self.reactor, self.reactor.seconds)
        self.addCleanup(self.hub.close)

    def call(self) -> socket.socket:
        """Something that the reactor has to do."""
        own, peer = self.pair()
        self.reactor.watch(own.fileno())
        peer.send(b"for the reactor")
        return own

    def test_calm(self) -> None:
        """With few members it is calm, with more of them it is not."""
        self.see_calm()

    def test_kind(self) -> None:
        """A reactor with an epoll is waited for beside the transfers."""
        self.assertIsInstance(self.hub, EpollHub)

    def test_served(self) -> None:
        """Whoever has a datagram is told, again and again, until the reactor has something to do."""
        first, peer = self.member()
        second, other = self.member()
        peer.send(b"a")
        other.send(b"b")

        def answered() -> bool:
            if len(first.heard) < 100:
                peer.send(b"a")
            else:
                self.call()
            return True

        first.then = answered
        self.reactor.turn()
        self.assertEqual((len(first.heard), second.heard), (100, [b"b"]))

    def test_turns(self) -> None:
        """The reactor gets its turn as soon as it is called, however busy the transfers are, and they get theirs."""
        member, peer = self.member()
        peer.send(b"a")
        member.then = lambda: peer.send(b"a")
        self.call()
        for turns in (1, 2, 3):
            self.reactor.turn()
            self.assertEqual(len(member.heard), turns)

    def test_timers(self) -> None:
        """A timer that is due is not kept waiting by busy transfers, nor one that was set while they were served."""
        member, peer = self.member()
        peer.send(b"a")
        fired: list[int] = []

        def busy() -> bool:
            peer.send(b"a")
            if len(member.heard) == 10:
                self.reactor.callLater(0, lambda: fired.append(len(member.heard)))
                return False
            return True

        member.then = busy
        self.reactor.turn()
        self.assertEqual((len(member.heard), fired), (11, []))
        self.call()
        self.reactor.turn()
        self.assertEqual(fired, [11])

    def test_removed(self) -> None:
        """Who left hears no more, even if the datagram was seen already; with the last one the waiting ends."""
        first, peer = self.member()
        second, other = self.member()
        for end in (peer, other):
            end.send(b"a")

        def leave() -> bool:
            for member in (first, second):
                self.leave(member)
            return False

        first.then = second.then = leave
        self.reactor.turn()
        self.assertEqual(len(first.heard) + len(second.heard), 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_added_again(self) -> None:
        """After all have left, a new one is served."""
        member, _ = self.member()
        self.leave(member)
        self.reactor.turn()
        member, peer = self.member()
        peer.send(b"a")
        self.call()
        self.reactor.turn()
        self.assertEqual(member.heard, [b"a"])

    def test_guard(self) -> None:
        """A socket's guard hears what comes while no member has it, but is not waited for."""
        guard, peer = self.guarded()
        peer.send(b"a")
        self.assertEqual((self.reactor.getDelayedCalls(), self.hub.calm), ([], True))
        member = Member(guard.sock)
        self.hub.add(guard.sock.fileno(), member)
        self.hub.look()
        self.hub.remove(guard.sock.fileno())
        other, _ = self.member()
        peer.send(b"b")
        self.hub.look()
        self.assertEqual((member.heard, guard.heard, other.heard), ([b"a"], [b"b"], []))

    def test_look(self) -> None:
        """What waits can be asked for at any time."""
        self.hub.look()
        member, peer = self.member()
        peer.send(b"a")
        self.call()
        self.hub.look()
        self.assertEqual(member.heard, [b"a"])

    def test_writable(self) -> None:
        """That the socket takes more is said once for each time that was asked."""
        member, _ = self.member()
        self.hub.want_write(member.sock.fileno())
        self.hub.look()
        self.hub.look()
        self.assertEqual((member.wrote, member.heard), (1, []))

    def test_failure(self) -> None:
        """Who raises is told, and disturbs nobody."""
        first, peer = self.member()
        second, other = self.member()
        for end in (peer, other):
            end.send(b"a")
        first.then = lambda: 1 / 0
        self.hub.look()
        self.assertEqual((first.failures, second.failures, second.heard), (1, 0, [b"a"]))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ReactorHubTests(HubCase):
    def setUp(self) -> None:
        self.reactor = PlainReactor()
        self.hub = hub(self.reactor, self.reactor.seconds)

    def test_calm(self) -> None:
        """The same where each socket is a descriptor of the reactor."""
        self.see_calm()

    def test_served(self) -> None:
        """Without an epoll each socket is a descriptor of the reactor."""
        self.assertIsInstance(self.hub, ReactorHub)
        member, peer = self.member()
        peer.send(b"a")
        (reader,) = self.reactor.readers
        self.assertEqual(reader.fileno(), member.sock.fileno())
        reader.doRead()
        self.assertEqual(member.heard, [b"a"])
        self.hub.want_write(member.sock.fileno())
        self.reactor.writers[0].doWrite()
        self.assertEqual((member.wrote, self.reactor.writers), (1, []))
        self.leave(member)
        self.assertEqual(self.reactor.readers, [])

    def test_guard(self) -> None:
        """A socket's guard hears what comes while no member has it."""
        member, peer = self.member()
        guard = Member(member.sock)
        self.leave(member)
        self.hub.watch(member.sock.fileno(), guard)
        self.hub.add(member.sock.fileno(), member)
        for datagram in (b"a", b"b"):
            peer.send(datagram)
            self.reactor.readers[0].doRead()
            if datagram == b"a":
                self.hub.remove(member.sock.fileno())
        self.assertEqual((member.heard, guard.heard), ([b"a"], [b"b"]))

    def test_failure(self) -> None:
        """Who raises is told."""
        member, peer = self.member()
        peer.send(b"a")
        member.then = lambda: 1 / 0
        self.reactor.readers[0].doRead()
        self.assertEqual(member.failures, 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
