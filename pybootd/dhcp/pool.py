"""
Which address a new machine gets.

Addresses never used come first, in order; with C{reclaim} the one whose lease ended longest ago comes after them.
Constant cost, however many leases there are.  Pure: time is an argument.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from heapq import heapify, heappop, heappush

from pybootd.leases.lease import Lease, State
from pybootd.leases.table import LeaseTable


class Pool:
    """The addresses of one network that may be given to whoever asks."""

    def __init__(
        self,
        first: int,
        count: int,
        table: LeaseTable,
        *,
        reserved: Collection[int] = (),
        reclaim: bool = False,
        slices: Sequence[range] | None = None,
    ) -> None:
        """
        @param reserved: addresses of the pool that belong to certain machines, or to this server.
        @param reclaim: whether an address whose lease has ended may go to another machine.
        @param slices: the parts of the pool that this server may give away; all of it if not said.
        """
        self.first, self.last = first, first + count - 1
        self._table = table
        self._reserved = frozenset(reserved)
        self._slices = list(slices) if slices is not None else [range(first, first + count)]
        self._cursor = 0
        self._returned: list[int] = []
        self._reclaim = reclaim
        self._ending = [(lease.expires, lease.address) for lease in table if self._ends(lease)]
        heapify(self._ending)

    def holds(self, address: int) -> bool:
        """Whether the address may be given to whoever asks."""
        return self.first <= address <= self.last and address not in self._reserved

    def add(self, more: range) -> None:
        """A further slice may be given away."""
        self._slices.append(more)

    def take(self, now: float) -> int:
        """An address for a new machine, 0 where none is left.  It must be offered, or L{give_back}."""
        for address in self._table.lapsed(now):
            self.give_back(address)
        return self._returned_one(now) or self._fresh(now) or self._ended(now)

    def give_back(self, address: int) -> None:
        """The address was not used after all."""
        lease = self._table.at(address)
        if lease is not None:
            self.note(lease)
        elif self.holds(address):
            heappush(self._returned, address)

    def note(self, lease: Lease) -> None:
        """A lease was written down: it is known from now on when it ends."""
        if self._ends(lease):
            heappush(self._ending, (lease.expires, lease.address))

    def _ends(self, lease: Lease) -> bool:
        """Whether the address may be given anew when its time is over: any with C{reclaim}, else what only rested."""
        return self.holds(lease.address) and (self._reclaim or lease.state is State.DECLINED)

    def _free(self, address: int, now: float) -> bool:
        return self.holds(address) and self._table.owner(address, now) is None

    def _returned_one(self, now: float) -> int:
        while self._returned:
            address = heappop(self._returned)
            if self._free(address, now):
                return address
        return 0

    def _fresh(self, now: float) -> int:
        while self._slices:
            part = self._slices[0]
            while self._cursor < len(part):
                address = part[self._cursor]
                self._cursor += 1
                if self._free(address, now):
                    return address
            del self._slices[0]
            self._cursor = 0
        return 0

    def _ended(self, now: float) -> int:
        """The address whose lease ended longest ago.  Renewals leave stale rows in the heap; they are skipped here."""
        while self._ending and self._ending[0][0] <= now:
            expires, address = heappop(self._ending)
            lease = self._table.at(address)
            if lease is None or lease.expires != expires:
                continue
            if lease.state is State.DECLINED:
                if self._free(address, now):
                    return address
                continue
            if self._table.owner(address, now) == lease.key and not self._table.offered(lease.key, now):
                return address
        return 0
