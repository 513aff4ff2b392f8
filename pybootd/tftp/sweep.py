"""One timer for the deadlines of all transfers of a process: much cheaper than one for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pybootd.tftp.hub import Hub
from pybootd.tftp.pace import PAUSE

SWEEP = 0.01
"""Seconds between two looks at all of them."""

LONGEST = 0.02
"""Seconds between two looks at few of them, if no deadline is sooner: a look costs one client in lockstep a moment."""


class Timed(Protocol):
    """When a transfer wants to be looked at."""

    @property
    def deadline(self) -> float: ...

    @property
    def paced(self) -> bool:
        """Whether it wants to be looked at after each L{PAUSE}."""


class Member(Protocol):
    """A transfer at work: one that sends or takes a file, here or in another process."""

    @property
    def transfer(self) -> Timed: ...

    @property
    def blocked(self) -> bool:
        """Whether its socket took no more when it last sent."""

    @property
    def shares(self) -> bool:
        """Whether that socket is the server's: nobody says then when it takes more."""

    def expire(self, now: float) -> None:
        """Its deadline has passed."""

    def writable(self, now: float) -> None:
        """Its socket may take more again."""


class Sweep:
    """Looks at all of them, as long as there are any."""

    def __init__(
        self, reactor: Any, hub: Hub, members: Callable[[], Sequence[Member]], swept: Callable[[float], None]
    ) -> None:
        """
        @param members: those that are at work now; any may end while they are looked at.
        @param swept: told the time after each look.
        """
        self._reactor = reactor
        self._hub = hub
        self._members = members
        self._swept = swept
        self._timer: Any = None

    def start(self, seconds: float = SWEEP) -> None:
        """There is somebody to look at; idempotent."""
        if self._timer is None:
            self._timer = self._reactor.callLater(seconds, self._look)

    def stop(self) -> None:
        """Nobody is left; idempotent."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _look(self) -> None:
        self._timer = None
        self._hub.look()  # what waits there may be later than its deadline only because we are
        now, paced = self._hub.clock(), False
        for member in self._members():
            if member.transfer.deadline <= now:
                member.expire(now)
            elif member.blocked and member.shares:
                member.writable(now)
            paced = paced or member.transfer.paced
        self._swept(now)
        members = self._members()
        if members:
            self.start(PAUSE if paced else self._pause(members, now) if self._hub.calm else SWEEP)

    def _pause(self, members: Sequence[Member], now: float) -> float:
        """Until the next look at few members: the first deadline, or so; nobody tells of a shared socket's room."""
        first = min(now if member.shares else member.transfer.deadline for member in members)
        return min(max(first - now, SWEEP), LONGEST)
