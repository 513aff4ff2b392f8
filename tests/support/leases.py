"""Leases for tests, and the rooms around them in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from pybootd.leases.lease import Claim, Lease, State

NOW = 1_000_000.0
LATER = NOW + 86400
FIRST = 0x0A000064
"""10.0.0.100"""


def key(machine: int) -> bytes:
    """A hardware address; 0: nobody's."""
    return b"\x52\x54\0" + machine.to_bytes(3, "big") if machine else b""


def bound(place: int, machine: int, expires: float = LATER, **others: Any) -> Lease:
    """A machine's lease of the address at a place of the pool."""
    return Lease(FIRST + place, key(machine), State.BOUND, expires, **others)


def released(place: int, machine: int, when: float = NOW) -> Lease:
    """A machine gave its address back."""
    return Lease(FIRST + place, key(machine), State.RELEASED, when)


def declined(place: int, until: float = NOW + 3600) -> Lease:
    """An address rests."""
    return Lease(FIRST + place, b"", State.DECLINED, until)


def fresh(*leases: Lease) -> list[Claim]:
    """Claims for leases of addresses that nobody had."""
    return [Claim(lease, fresh=True) for lease in leases]


def at_once(function: Callable[..., Any], *values: Any) -> Deferred[Any]:
    """In place of a thread."""
    return maybeDeferred(function, *values)


class Threads:
    """
    Threads that the test lets run.

    @ivar jobs: what was given to them and did not run yet.
    """

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[..., Any], Sequence[Any], Deferred[Any]]] = []

    def __call__(self, function: Callable[..., Any], *values: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        self.jobs.append((function, values, result))
        return result

    def run(self) -> None:
        """Run everything that is there."""
        while self.jobs:
            function, values, result = self.jobs.pop(0)
            maybeDeferred(function, *values).chainDeferred(result)
