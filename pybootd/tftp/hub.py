"""
The sockets of all transfers, behind one descriptor of the reactor.

A reactor pays for each event with a log context and a few calls; between an ACK and its block
that would be a third of the time.  So the transfers' sockets stand in an C{epoll} of their own, which the
reactor sees as one descriptor, and one wake-up serves whoever is ready.  Where there is no C{epoll}
each socket is a descriptor of the reactor.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.logger import Logger
from zope.interface import implementer

ROUNDS = 8
"""Looks at the sockets in one wake-up; then the rest of the server gets its turn."""

EVENTS = 256
"""Sockets served in one round."""


EPOLLIN, EPOLLOUT = 1, 4
"""As everywhere in Linux; the module has them on Linux only."""


class Member(Protocol):
    """Somebody with a socket."""

    def readable(self, now: float) -> None:
        """The socket may have a datagram."""

    def writable(self, now: float) -> None:
        """The socket takes more again; said once for each L{Hub.want_write}."""

    def failed(self) -> None:
        """One of these two raised; it has been reported."""


class Hub(Protocol):
    """
    Tells members of what happens to their sockets.

    @ivar clock: the time that members are told, in seconds from whenever.
    """

    clock: Callable[[], float]

    def add(self, fd: int, member: Member) -> None:
        """Begin to tell."""

    def want_write(self, fd: int) -> None:
        """Tell once when the socket takes more."""

    def remove(self, fd: int) -> None:
        """Tell no more; before the socket is closed."""

    def look(self) -> None:
        """Tell now what there is to tell."""

    def close(self) -> None:
        """All members have left."""


def hub(reactor: Any, clock: Callable[[], float]) -> Hub:
    """The best that this system has."""
    return EpollHub(reactor, clock) if hasattr(select, "epoll") else ReactorHub(reactor, clock)


@implementer(IReadDescriptor)
class EpollHub:
    """All sockets as one descriptor."""

    log = Logger()

    def __init__(self, reactor: Any, clock: Callable[[], float]) -> None:
        self._reactor = reactor
        self.clock = clock
        self._epoll = select.epoll()
        self._members: dict[int, Member] = {}

    def add(self, fd: int, member: Member) -> None:
        if not self._members:
            self._reactor.addReader(self)
        self._members[fd] = member
        self._epoll.register(fd, EPOLLIN)

    def want_write(self, fd: int) -> None:
        self._epoll.modify(fd, EPOLLIN | EPOLLOUT)

    def remove(self, fd: int) -> None:
        del self._members[fd]
        self._epoll.unregister(fd)
        if not self._members:
            self._reactor.removeReader(self)

    def look(self) -> None:
        if self._members:
            self.doRead()

    def close(self) -> None:
        self._epoll.close()

    def doRead(self) -> None:
        """Serve whoever is ready; a few rounds, for answers often come while others are served."""
        poll, members = self._epoll.poll, self._members
        for _ in range(ROUNDS):
            events = poll(0, EVENTS)
            if not events:
                return
            now = self.clock()
            for fd, event in events:
                member = members.get(fd)
                if member is None:
                    continue  # it left while others were served
                try:
                    if event == EPOLLIN:
                        member.readable(now)
                    else:
                        self._serve(fd, event, member, now)
                except Exception:
                    self.log.failure("a TFTP transfer failed")
                    member.failed()

    def _serve(self, fd: int, event: int, member: Member, now: float) -> None:
        """The rare events."""
        if event & EPOLLOUT:
            self._epoll.modify(fd, EPOLLIN)
            member.writable(now)
        if event & ~EPOLLOUT:
            member.readable(now)

    def fileno(self) -> int:
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        return "TFTP transfers"

    def connectionLost(self, reason: object) -> None:
        """The reactor stops."""


class ReactorHub:
    """Each socket a descriptor of the reactor."""

    def __init__(self, reactor: Any, clock: Callable[[], float]) -> None:
        self._reactor = reactor
        self.clock = clock
        self._descriptors: dict[int, _Descriptor] = {}

    def add(self, fd: int, member: Member) -> None:
        descriptor = self._descriptors[fd] = _Descriptor(fd, member, self._reactor, self.clock)
        self._reactor.addReader(descriptor)

    def want_write(self, fd: int) -> None:
        self._reactor.addWriter(self._descriptors[fd])

    def remove(self, fd: int) -> None:
        descriptor = self._descriptors.pop(fd)
        self._reactor.removeReader(descriptor)
        self._reactor.removeWriter(descriptor)

    def look(self) -> None:
        """The reactor looked before it called whoever asks."""

    def close(self) -> None:
        """Nothing is left to close."""


@implementer(IReadDescriptor, IWriteDescriptor)
class _Descriptor:
    log = Logger()

    def __init__(self, fd: int, member: Member, reactor: Any, clock: Callable[[], float]) -> None:
        self._fd = fd
        self._member = member
        self._reactor = reactor
        self._clock = clock

    def doRead(self) -> None:
        self._serve(self._member.readable)

    def doWrite(self) -> None:
        self._reactor.removeWriter(self)
        self._serve(self._member.writable)

    def _serve(self, serve: Callable[[float], None]) -> None:
        try:
            serve(self._clock())
        except Exception:
            self.log.failure("a TFTP transfer failed")
            self._member.failed()

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return "TFTP transfer"

    def connectionLost(self, reason: object) -> None:
        """The reactor stops."""
