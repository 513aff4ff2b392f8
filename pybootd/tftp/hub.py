"""
Where the sockets of all transfers are waited for.

A reactor pays for each event with a log context and a few calls; between an ACK and its block
that would be a third of the time.  So the transfers' sockets stand in an C{epoll} of their own, and with them, as one
more, the reactor's own C{epoll}.  While there are transfers, it is here that the process waits: an ACK is served at
once, and as soon as anything else is ready, or a timer is due, the reactor gets its turn.  With a reactor that has no
C{epoll} each socket is one of its descriptors.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.logger import Logger
from zope.interface import implementer

EVENTS = 256
"""Sockets served at once, before somebody else may get a turn."""

FEW = 4
"""Members: so few wait for the network and their clients, more of them for their turn."""

LONGEST = 3600.0
"""Seconds to wait at most, where the reactor has no timer."""


EPOLLIN, EPOLLOUT = 1, 4
"""As everywhere in Linux; the module has them on Linux only."""


class Member(Protocol):
    """Somebody with a socket."""

    def readable(self, now: float) -> bool:
        """
        The socket may have a datagram.

        @return: whether nothing else came of it than another datagram: no timer was set, and nobody was told.
        """

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

    def watch(self, fd: int, guard: Member) -> None:
        """Begin to tell of a socket: this one, while it serves no member."""

    def unwatch(self, fd: int) -> None:
        """Tell no more; before the socket is closed."""

    def add(self, fd: int, member: Member) -> None:
        """Tell this one instead.  While there are members, they are waited for; not so for guards."""

    def want_write(self, fd: int) -> None:
        """Tell once when the socket takes more."""

    def remove(self, fd: int) -> None:
        """The member has left: tell its guard again."""

    @property
    def calm(self) -> bool:
        """Whether there are so few that it pays to serve each of them sooner, if it takes a little longer in all."""

    def look(self) -> None:
        """Tell now what there is to tell."""

    def close(self) -> None:
        """All members have left."""


def hub(reactor: Any, clock: Callable[[], float]) -> Hub:
    """The best that this system has."""
    home: Any = getattr(reactor, "_poller", None)  # no interface has it
    return EpollHub(reactor, home.fileno(), clock) if hasattr(home, "fileno") else ReactorHub(reactor, clock)


class EpollHub:
    """All sockets in one epoll, and the reactor's own epoll among them."""

    log = Logger()

    def __init__(self, reactor: Any, home: int, clock: Callable[[], float]) -> None:
        """@param home: the descriptor of the reactor's epoll."""
        self._reactor = reactor
        self._home = home
        self.clock = clock
        self._epoll = select.epoll()
        self._epoll.register(home, EPOLLIN)
        self._guards: dict[int, Member] = {}
        self._members: dict[int, Member] = {}
        self._turn: Any = None

    def watch(self, fd: int, guard: Member) -> None:
        self._guards[fd] = guard
        self._epoll.register(fd, EPOLLIN)

    def unwatch(self, fd: int) -> None:
        del self._guards[fd]
        self._epoll.unregister(fd)

    def add(self, fd: int, member: Member) -> None:
        self._members[fd] = member
        if self._turn is None:
            self._turn = self._reactor.callLater(0, self._take_turn)

    def want_write(self, fd: int) -> None:
        self._epoll.modify(fd, EPOLLIN | EPOLLOUT)

    def remove(self, fd: int) -> None:
        del self._members[fd]

    @property
    def calm(self) -> bool:
        return len(self._members) <= FEW

    def look(self) -> None:
        if self._members:
            self._serve(self._epoll.poll(0, EVENTS), self.clock())

    def close(self) -> None:
        if self._turn is not None and self._turn.active():
            self._turn.cancel()
        self._epoll.close()

    def _take_turn(self) -> None:
        """Wait in the reactor's place, and serve, until the reactor has something to do."""
        poll, clock, members = self._epoll.poll, self.clock, self._members
        now, until = clock(), 0.0
        known = called = False
        try:
            while members and not called:
                if not known:
                    pause = self._reactor.timeout()
                    until = now + (LONGEST if pause is None else pause)
                events = poll(max(0.0, until - now), EVENTS)
                now = clock()
                known, called = self._serve(events, now)
                called = called or now >= until
        finally:
            self._turn = self._reactor.callLater(0, self._take_turn) if members else None

    def _serve(self, events: list[tuple[int, int]], now: float) -> tuple[bool, bool]:
        """@return: whether it was routine for all of them; and whether the reactor is one of them."""
        members, guards, home = self._members, self._guards, self._home
        routine, called = True, False
        for fd, event in events:
            member = members.get(fd) or guards.get(fd)
            if member is None:
                called = called or fd == home  # or it was closed while others were served
                continue
            try:
                if event == EPOLLIN:
                    routine = member.readable(now) and routine
                else:
                    routine = False
                    self._serve_rarely(fd, event, member, now)
            except Exception:
                routine = False
                self.log.failure("a TFTP transfer failed")
                member.failed()
        return routine, called

    def _serve_rarely(self, fd: int, event: int, member: Member, now: float) -> None:
        """The rare events."""
        if event & EPOLLOUT:
            self._epoll.modify(fd, EPOLLIN)
            member.writable(now)
        if event & ~EPOLLOUT:
            member.readable(now)


class ReactorHub:
    """Each socket a descriptor of the reactor."""

    def __init__(self, reactor: Any, clock: Callable[[], float]) -> None:
        self._reactor = reactor
        self.clock = clock
        self._descriptors: dict[int, _Descriptor] = {}
        self._members: dict[int, Member] = {}

    def watch(self, fd: int, guard: Member) -> None:
        descriptor = self._descriptors[fd] = _Descriptor(fd, guard, self._members, self._reactor, self.clock)
        self._reactor.addReader(descriptor)

    def unwatch(self, fd: int) -> None:
        descriptor = self._descriptors.pop(fd)
        self._reactor.removeReader(descriptor)
        self._reactor.removeWriter(descriptor)

    def add(self, fd: int, member: Member) -> None:
        self._members[fd] = member

    def want_write(self, fd: int) -> None:
        self._reactor.addWriter(self._descriptors[fd])

    def remove(self, fd: int) -> None:
        del self._members[fd]

    @property
    def calm(self) -> bool:
        return len(self._members) <= FEW

    def look(self) -> None:
        """The reactor looked before it called whoever asks."""

    def close(self) -> None:
        """Nothing is left to close."""


@implementer(IReadDescriptor, IWriteDescriptor)
class _Descriptor:
    log = Logger()

    def __init__(
        self, fd: int, guard: Member, members: Mapping[int, Member], reactor: Any, clock: Callable[[], float]
    ) -> None:
        self._fd = fd
        self._guard = guard
        self._members = members
        self._reactor = reactor
        self._clock = clock

    def doRead(self) -> None:
        member = self._member()
        self._serve(member, member.readable)

    def doWrite(self) -> None:
        self._reactor.removeWriter(self)
        member = self._member()
        self._serve(member, member.writable)

    def _member(self) -> Member:
        return self._members.get(self._fd) or self._guard

    def _serve(self, member: Member, serve: Callable[[float], object]) -> None:
        try:
            serve(self._clock())
        except Exception:
            self.log.failure("a TFTP transfer failed")
            member.failed()

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return "TFTP transfer"

    def connectionLost(self, reason: object) -> None:
        """The reactor stops."""
