"""
A link with faults and a reference client, in virtual time: what a transfer lives through, without a socket.

The client is written from the RFCs alone (1350, 2347, 7440), and shares no code with the server.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from random import Random

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
