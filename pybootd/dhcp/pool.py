"""
Which address a new machine gets.

Addresses never used come first, in order.  A machine keeps its address after its lease has ended, and after it gave it
back: by default for ever (C{reclaim = never}); with C{reclaim = expired}, when no unused address is left, the one whose
lease ended longest ago goes to the next new machine.  The cost does not depend on how many leases there are.

Pure: time is an argument.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Collection, Iterable
from heapq import heappop, heappush, heapreplace
from math import ceil, inf

from pybootd.leases.lease import Lease, State
from pybootd.leases.table import OFFER_SECONDS, LeaseTable

PLACES = 24
"""Bits for a place in a pool, as many as an IPv4 network of our own can need."""

PLACE = (1 << PLACES) - 1


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
        slices: Iterable[range] | None = None,
    ) -> None:
        """
        @param reserved: addresses of the pool that belong to certain machines, or to this server.
        @param reclaim: whether an address whose lease has ended may go to another machine.
        @param slices: the parts of the pool that this server may give away; all of it if not said.
        """
        self.first, self.last = first, first + count - 1
        self.made_of = (first, count, frozenset(reserved), reclaim)
        """A pool of the same addresses, for which the same holds, is as good."""
        self._table = table
        self._reserved = frozenset(reserved)
        self._reclaim = reclaim
        self._parts: list[range] = []
        self._starts: list[int] = []
        self._unseen: dict[range, int] = {}
        self._returned = _Queue(first, count)
        self._taken = _Queue(first, count)
        self._leased = _Queue(first, count)
        self._resting = _Queue(first, count)
        self.allot([range(first, first + count)] if slices is None else slices)

    def allot(self, slices: Iterable[range]) -> None:
        """These are the parts of the pool that this server may give away from now on; they do not overlap."""
        before = self._unseen
        self._parts = sorted(slices, key=lambda part: part.start)
        self._starts = [part.start for part in self._parts]
        self._unseen = {part: before.get(part, part.start) for part in self._parts}
        for part in self._parts:
            if part not in before:
                for lease in self._table.within(part):
                    self.note(lease)

    def holds(self, address: int) -> bool:
        """Whether this server may give the address to whoever asks, in time."""
        index = bisect(self._starts, address) - 1
        return index >= 0 and address in self._parts[index] and address not in self._reserved

    def free(self, address: int, now: float) -> bool:
        """Whether the address may go to a new machine at this moment."""
        lease = self._table.at(address)
        ended = self.holds(address) if lease is None else self._ends(lease) and lease.expires <= now
        return ended and not self._table.held(address, now)

    @property
    def unseen(self) -> int:
        """How many addresses have not been looked at yet; some may turn out to be in use."""
        return sum(part.stop - address for part, address in self._unseen.items())

    def take(self, now: float, hold: float = OFFER_SECONDS) -> int:
        """
        An address for a new machine, 0 where none is left.

        @param hold: seconds; an address that is neither offered nor leased then is free again by itself.
        """
        while address := self._taken.due(now):
            self._release(address, now)
        address = self._given_back(now) or self._unused(now) or self._ended(now)
        if address:
            self._taken.put(address, now + hold)
        return address

    def give_back(self, address: int) -> None:
        """The address was not used after all."""
        lease = self._table.at(address)
        if lease is not None:
            self.note(lease)
        elif self.holds(address):
            self._returned.put(address, 0)

    def note(self, lease: Lease) -> None:
        """A lease was written down: it is known from now on when it ends."""
        if self._ends(lease):
            queue = self._leased if lease.state is State.BOUND else self._resting
            queue.put(lease.address, lease.expires)
            # a renewal leaves its address where it was; in return it puts right what stands in front by now
            self._leased.correct(self._end)

    def _ends(self, lease: Lease) -> bool:
        """Whether the address may be given anew when its time is over: any with C{reclaim}, else what only rested."""
        free = self._reclaim or lease.state is State.DECLINED
        return free and lease.expires < inf and self.holds(lease.address)

    def _end(self, address: int) -> float:
        """When the address may be given anew; 0 where it is no question of time."""
        lease = self._table.at(address)
        return lease.expires if lease is not None and self._ends(lease) else 0

    def _rest(self, address: int) -> float:
        """
        The same for an address that was given back or rests; 0 where it is leased by now.

        It leaves the queue then, for it has its place among the leased, and comes back when it is given back again.
        """
        lease = self._table.at(address)
        return 0 if lease is None or lease.state is State.BOUND else self._end(address)

    def _release(self, address: int, now: float) -> None:
        """An address was taken a while ago.  If that came to nothing, it is free again."""
        until = self._table.held(address, now)
        if until:
            self._taken.put(address, until)
        else:
            self.give_back(address)

    def _open(self, address: int, now: float) -> bool:
        """Whether nobody holds the address just now; one that is held is looked at again later."""
        until = self._table.held(address, now)
        if until:
            self._taken.put(address, until)
        return not until

    def _given_back(self, now: float) -> int:
        while address := self._returned.due(now):
            if self.holds(address) and self._table.at(address) is None and self._open(address, now):
                return address
        return 0

    def _unused(self, now: float) -> int:
        for part, unseen in self._unseen.items():
            for address in range(unseen, part.stop):
                if address not in self._reserved and self._table.at(address) is None and self._open(address, now):
                    self._unseen[part] = address + 1
                    return address
            self._unseen[part] = part.stop
        return 0

    def _ended(self, now: float) -> int:
        """The address whose lease, or whose rest, ended longest ago."""
        while True:
            queue, end = min(((self._leased, self._end), (self._resting, self._rest)), key=lambda pair: pair[0].first())
            if queue.correct(end):
                continue
            address = queue.due(now)
            if not address or (0 < self._end(address) <= now and self._open(address, now)):
                return address


class _Queue:
    """Addresses of a pool in the order of a moment, each of them at most once."""

    def __init__(self, first: int, count: int) -> None:
        self._first = first
        self._inside = bytearray(count)
        self._heap: list[int] = []
        """The moment in seconds, rounded up, and below it the place in the pool: an integer is smaller than a pair."""

    def put(self, address: int, moment: float) -> None:
        """Queue an address; one that is queued already stays where it is."""
        place = address - self._first
        if not self._inside[place]:
            self._inside[place] = 1
            heappush(self._heap, ceil(moment) << PLACES | place)

    def first(self) -> float:
        """The moment of the foremost address."""
        return self._heap[0] >> PLACES if self._heap else inf

    def due(self, now: float) -> int:
        """Takes out the foremost address if its moment has come; 0 where it has not."""
        if self.first() > now:
            return 0
        place = heappop(self._heap) & PLACE
        self._inside[place] = 0
        return self._first + place

    def correct(self, moment_of: Callable[[int], float]) -> bool:
        """The foremost address goes where it belongs by now, if that is further back; whether it did."""
        if not self._heap:
            return False
        place = self._heap[0] & PLACE
        entry = ceil(moment_of(self._first + place)) << PLACES | place
        moves = entry > self._heap[0]
        if moves:
            heapreplace(self._heap, entry)
        return moves
