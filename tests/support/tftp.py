"""
A link with faults and a reference client, in virtual time: what a transfer lives through, without a socket.

The client is written from the RFCs alone (1350, 2347, 7440), and shares no code with the server.
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Callable
from itertools import count
from random import Random

from pybootd.content.content import BytesBody
from pybootd.tftp.options import Agreement
from pybootd.tftp.transfer import State, Transfer


class Link:
    """Delivers datagrams late, twice, out of order, or never; everything is repeatable by its seed."""

    def __init__(
        self, *, seed: int = 0, delay: float = 0.0005, jitter: float = 0.0, loss: float = 0.0, double: float = 0.0
    ) -> None:
        self.now = 0.0
        self.delay, self.jitter, self.loss, self.double = delay, jitter, loss, double
        self._random = Random(seed)
        self._order = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), action))

    def send(self, deliver: Callable[[bytes], None], datagram: bytes) -> None:
        for _ in range(1 + (self._random.random() < self.double)):
            if self._random.random() >= self.loss:
                late = self.delay + self._random.random() * self.jitter
                self.at(self.now + late, lambda: deliver(datagram))

    def run(self, until: Callable[[], bool], limit: float) -> None:
        """Let time pass until C{until} or nothing is left to happen."""
        while self._events and not until():
            self.now, _, action = heapq.heappop(self._events)
            if self.now > limit:
                raise AssertionError(f"not finished after {limit} s of virtual time")
            action()


class ReadClient:
    """
    Receives one file as RFC 7440 has it.

    It tells once of a gap, repeats the ACK of a window whose last block comes again, and
    whatever it said last when nothing new came for C{retry} seconds.
    """

    def __init__(self, link: Link, reply: Callable[[bytes], None], agreement: Agreement, retry: float = 3.0) -> None:
        self.link, self.reply = link, reply
        self.blksize, self.windowsize, self.retry = agreement.blksize, agreement.windowsize, retry
        self.content = bytearray()
        self.block = 0
        self.done = False
        self.acks = 0
        self._in_window = 0
        self._told = False
        self._progress = 0.0
        self._watch()

    def receive(self, datagram: bytes) -> None:
        kind, number = int.from_bytes(datagram[:2], "big"), int.from_bytes(datagram[2:4], "big")
        if kind == 6:
            if self.block == 0:
                self._ack()
        elif kind == 3:
            ahead = (number - self.block) & 0xFFFF
            if ahead == 1 and not self.done:
                self._take(datagram[4:])
            elif ahead == 0:
                if self._in_window == 0:
                    self._ack()
            elif ahead < 32768 and not self._told:
                self._told = True
                self._ack()

    def _take(self, content: bytes) -> None:
        self.block += 1
        self.content += content
        self.done = len(content) < self.blksize
        self._told = False
        self._progress = self.link.now
        self._in_window += 1
        if self.done or self._in_window == self.windowsize:
            self._ack()

    def _ack(self) -> None:
        self.acks += 1
        self._in_window = 0
        self.link.send(self.reply, b"\0\4" + (self.block & 0xFFFF).to_bytes(2, "big"))

    def _watch(self) -> None:
        if not self.done:
            if self.link.now - self._progress >= self.retry:
                self._told = False
                self._ack()
            self.link.at(self.link.now + self.retry, self._watch)


class Server:
    """Carries a L{Transfer} over a link, as the session does over a socket."""

    def __init__(
        self, link: Link, content: bytes, agreement: Agreement, *, known: bool = True, **timing: float
    ) -> None:
        self.link, self.content, self.agreement = link, content, agreement
        last = len(content) // agreement.blksize + 1
        self.transfer = Transfer(agreement, last if known else None, link.now, **timing)
        self.deliver: Callable[[bytes], None] = lambda datagram: None
        self.datagrams = 0
        self._armed = float("inf")

    def receive(self, datagram: bytes) -> None:
        self.transfer.receive(datagram, self.link.now)
        self.pump()

    def pump(self) -> None:
        first, many = self.transfer.due
        for block in range(first, first + many):
            self.datagrams += 1
            self.link.send(self.deliver, self._packet(block))
            self.transfer.sent(1, self.link.now)
        if self.transfer.deadline < self._armed:
            self._armed = self.transfer.deadline
            self.link.at(self._armed, self._expire)

    def _packet(self, block: int) -> bytes:
        if block == 0:
            return self.agreement.oack
        size = self.agreement.blksize
        content = self.content[(block - 1) * size : block * size]
        if len(content) < size:
            self.transfer.last = block
        return b"\0\3" + (block & 0xFFFF).to_bytes(2, "big") + content

    def _expire(self) -> None:
        self._armed = float("inf")
        if self.transfer.state in (State.ASKED, State.SENDING):
            self.transfer.expire(self.link.now)
            self.pump()


def fetch(
    link: Link, content: bytes, agreement: Agreement, *, limit: float = 600, **options: object
) -> tuple[Server, ReadClient]:
    """Send a file over the link until the server is through."""
    server = Server(link, content, agreement, **options)
    client = ReadClient(link, lambda datagram: server.receive(datagram), agreement)
    server.deliver = client.receive
    server.pump()
    link.run(lambda: server.transfer.state not in (State.ASKED, State.SENDING), limit)
    return server, client


Address = tuple[str, int]


class FakeSocket:
    """
    A datagram socket without a network: C{sent} grows, what is in C{inbox} arrives, C{refusals} are raised.

    Where it is connected, it sends to C{peer}, and hears nobody else.
    """

    peer: Address | None = None

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.calls: list[tuple[int, list[tuple[int, int, bytes]]]] = []
        self.inbox: list[tuple[bytes, tuple[str, int]]] = []
        self.refusals: list[OSError] = []
        self.room: int | None = None
        self.closed = False

    def fileno(self) -> int:
        return 99

    def setsockopt(self, *option: object) -> None:
        pass

    def connect(self, address: Address) -> None:
        self.peer = address

    def send(self, data: bytes) -> None:
        self.sendmsg([data])

    def sendmsg(self, parts: list, control: list = (), flags: int = 0, address: Address | None = None) -> None:
        address = address or self.peer
        assert address is not None, "not connected"
        if self.refusals:
            raise self.refusals.pop(0)
        data = b"".join(parts)
        size = next((int.from_bytes(value, sys.byteorder) for level, _, value in control if level == 17), len(data))
        pieces = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        if self.room is not None:
            if self.room < len(pieces):
                raise BlockingIOError
            self.room -= len(pieces)
        self.calls.append((len(pieces), list(control)))
        self.sent += [(piece, address) for piece in pieces]

    def recv(self, size: int) -> bytes:
        if not self.inbox:
            raise BlockingIOError
        return self.inbox.pop(0)[0]

    def close(self) -> None:
        self.closed = True

    def take(self) -> list[bytes]:
        """What was sent since the last time."""
        taken = [data for data, _ in self.sent]
        self.sent.clear()
        return taken


class FakePort:
    """A transfer's port on a fake socket; C{ends}: whether others may have it."""

    def __init__(self, sock: FakeSocket, client: Address) -> None:
        self.socket = sock
        self.ends: list[bool] = []
        sock.connect(client)

    def begin(self, member: object) -> None:
        """The tests call it."""

    def end(self, again: bool) -> None:
        self.ends.append(again)
        self.socket.close()


class FakeHub:
    """Remembers who wants to be told what."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.guards: dict[int, object] = {}
        self.members: dict[int, object] = {}
        self.writers: list[int] = []
        self.calm = True

    def watch(self, fd: int, guard: object) -> None:
        self.guards[fd] = guard

    def unwatch(self, fd: int) -> None:
        del self.guards[fd]

    def add(self, fd: int, member: object) -> None:
        self.members[fd] = member

    def want_write(self, fd: int) -> None:
        self.writers.append(fd)

    def remove(self, fd: int) -> None:
        del self.members[fd]

    def look(self) -> None:
        pass

    def close(self) -> None:
        pass


class SlowBody(BytesBody):
    """A body whose bytes come when the test says so; closed once, as it should be."""

    def __init__(self, data: bytes, here: int = 0) -> None:
        super().__init__(data)
        self.here = here
        self.discarded = 0
        self.closed = 0
        self.failure: Exception | None = None
        self.waiting: Callable[[], None] | None = None

    def read(self, offset: int, length: int) -> bytes | None:
        if self.failure is not None:
            raise self.failure
        data = super().read(offset, length)
        return data if offset + len(data) <= self.here and offset >= self.discarded else None

    def wait(self, ready: Callable[[], None]) -> None:
        self.waiting = ready

    def discard(self, offset: int) -> None:
        self.discarded = offset

    def arrive(self, here: int) -> None:
        self.here = here
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting()

    def close(self) -> None:
        self.closed += 1
