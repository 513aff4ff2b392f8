"""Leases that live as long as the server: for trials, and where addresses do not matter."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from pybootd.interfaces import ILeaseStore
from pybootd.leases.lease import Allotment, Claim, Lease


@implementer(ILeaseStore)
class MemoryStore:
    """A store that forgets when it is closed."""

    name = "memory"
    shared = False

    def open(self) -> Deferred[Sequence[Lease]]:
        return succeed(())

    def commit(self, claims: Sequence[Claim]) -> Deferred[Sequence[bool]]:
        return succeed([True] * len(claims))

    def find(self, key: bytes) -> Sequence[Lease]:
        return ()

    def reserve(self, first: int, count: int) -> Allotment:
        return Allotment((range(first, first + count),))

    def close(self) -> Deferred[None]:
        return succeed(None)
