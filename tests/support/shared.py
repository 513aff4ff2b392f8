"""A store that several servers share, in memory: what PostgreSQL does for them, and a door to it for each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from pybootd.errors import StoreAway
from pybootd.interfaces import ILeaseStore
from pybootd.leases.lease import Allotment, Claim, Lease, slice_size

T = TypeVar("T")


class Common:
    """
    The truth.

    @ivar leases: the record of each address.
    @ivar slices: who holds which part of a pool.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds = seconds
        self.leases: dict[int, Lease] = {}
        self.slices: dict[range, object] = {}

    def of(self, key: bytes) -> list[Lease]:
        """A machine's leases, the oldest first."""
        return sorted((lease for lease in self.leases.values() if lease.key == key), key=lambda lease: lease.expires)

    def write(self, claim: Claim) -> bool:
        """A claim counts where the address is free, the machine's own, or its lease has ended."""
        held = self.leases.get(claim.lease.address)
        counts = held is None or held.key in (claim.lease.key, claim.owner) or held.expires <= self.seconds()
        if counts:
            self.leases[claim.lease.address] = claim.lease
        return counts


@implementer(ILeaseStore)
class Door:
    """
    One server's way to it.

    @ivar away: the truth cannot be reached.
    @ivar held_up: while a list: questions about machines wait in it.
    @ivar asked: the machines that were asked about.
    @ivar reserved: how often more of a pool was asked for.
    """

    name = "common"
    shared = True

    def __init__(self, common: Common) -> None:
        self.common = common
        self.away = False
        self.held_up: list[Callable[[], None]] | None = None
        self.asked: list[bytes] = []
        self.reserved = 0

    def open(self) -> Deferred[Sequence[Lease]]:
        return succeed(tuple(self.common.leases.values()))

    def commit(self, claims: Sequence[Claim]) -> Deferred[Sequence[bool]]:
        return fail(StoreAway("away")) if self.away else succeed([self.common.write(claim) for claim in claims])

    def find(self, key: bytes) -> Deferred[Sequence[Lease]]:
        self.asked.append(key)
        return self._answer(lambda: self.common.of(key))

    def reserve(self, first: int, count: int) -> Deferred[Allotment]:
        self.reserved += 1
        return self._answer(lambda: self._reserve(range(first, first + count)))

    def close(self) -> Deferred[None]:
        return succeed(None)

    def go_on(self) -> None:
        """What waits is answered."""
        waiting, self.held_up = self.held_up or [], None
        for answer in waiting:
            answer()

    def _answer(self, question: Callable[[], T]) -> Deferred[T]:
        if self.away:
            return fail(StoreAway("away"))
        if self.held_up is None:
            return succeed(question())
        answered: Deferred[T] = Deferred()
        self.held_up.append(lambda: answered.callback(question()))
        return answered

    def _reserve(self, pool: range) -> Allotment:
        size, slices = slice_size(len(pool)), self.common.slices
        parts = [range(start, min(start + size, pool.stop)) for start in range(pool.start, pool.stop, size)]
        for part in parts:
            if part not in slices:
                slices[part] = self
                break
        own = [part for part in parts if slices.get(part) is self]
        leases = [lease for lease in self.common.leases.values() if any(lease.address in part for part in own)]
        return Allotment(own, leases)
