"""
What several servers on one network owe each other, where they share a lease store.

A machine that this server does not know may be another's: the store is asked before it gets an answer.  New machines
are offered addresses from this server's own slices of each pool, and a further slice is fetched before they run out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybootd.dhcp.pool import Pool
from pybootd.dhcp.vacancy import Vacancies
from pybootd.errors import StoreError
from pybootd.interfaces import ILeaseStore
from pybootd.leases.lease import Allotment, Lease, State, slice_size
from pybootd.leases.table import LeaseTable

ASKED = 4096
"""Machines that may wait for the store's word at once; whoever comes on top has to ask again."""

FOREIGN = 300.0
"""Seconds for which an address is left alone that another server turned out to have given away."""

PAUSE = 5.0
"""Seconds until more of a pool is asked for again, where there was none left or no answer."""

Then = Callable[[bool], None]
"""Called when the store has told what it knows; with False where it could not be asked."""


class Sharing:
    """Keeps this server's knowledge of a shared store up to date."""

    log = Logger()

    def __init__(
        self, store: ILeaseStore, table: LeaseTable, pools: Mapping[int, Pool], seconds: Callable[[], float]
    ) -> None:
        """@param seconds: seconds since the epoch."""
        self._store = store
        self._table = table
        self._pools = pools
        self._seconds = seconds
        self._asked: dict[bytes, Then] = {}
        self._next: dict[Pool, float] = {}
        self._waiting: dict[Pool, list[Deferred[bool]]] = {}
        self.away = False
        """Whether the store could not be asked the last time."""

    def begin(self) -> Deferred[Any]:
        """Take a slice of each pool."""
        return DeferredList([self._fetch(pool) for pool in self._pools.values()])

    def change(self, pools: Mapping[int, Pool]) -> None:
        """These are the pools from now on; of those that are new, a slice is taken."""
        before = set(self._pools.values())
        self._pools = pools
        self._next = {pool: when for pool, when in self._next.items() if pool in pools.values()}
        for pool in pools.values():
            if pool not in before:
                self._fetch(pool)

    def look(self, key: bytes, then: Then) -> None:
        """Ask the store about a machine.  If it asks again meanwhile, only the last C{then} is called."""
        waits = key in self._asked
        if not waits and len(self._asked) >= ASKED:
            return
        self._asked[key] = then
        if not waits:
            found: Deferred[Any] = self.refresh(key)
            found.addCallback(lambda known: self._asked.pop(key)(known))
            found.addErrback(lambda failure: self.log.failure("cannot answer {key}", failure, key=key.hex(":")))

    def _told(self, leases: Iterable[Lease], key: bytes) -> None:
        """All that the store knows of a machine: what it had here beside that is another's by now."""
        known = tuple(leases)
        addresses = {lease.address for lease in known}
        for lease in self._table.all_of(key):
            if lease.address not in addresses:
                self._learn(self.foreign(lease.address))
        self.learn(known)

    def foreign(self, address: int) -> Lease:
        """What is known of an address that another machine turned out to have: nothing, so it is left alone for now."""
        return Lease(address, b"", State.DECLINED, self._seconds() + FOREIGN)

    def learn(self, leases: Iterable[Lease]) -> None:
        """The store knows these: it is the truth, for what this server wrote down is in it."""
        for lease in leases:
            self._learn(lease)

    def _learn(self, lease: Lease) -> None:
        self._table.learn(lease)
        for pool in self._pools.values():
            pool.note(lease)

    def refresh(self, key: bytes) -> Deferred[bool]:
        """What does the store say of a machine by now?  Fires when that is known; with False: it could not be asked."""
        found: Deferred[Any] = maybeDeferred(self._store.find, key)
        found.addCallback(self._told, key)
        return found.addCallbacks(self._heard, self._failed)

    def take(self, vacancies: Vacancies, wish: int = 0) -> int | Deferred[int]:
        """As L{Vacancies.take}; of a shared pool more may be had, and what has ended here may not have elsewhere."""
        found = vacancies.take(wish)
        self.replenish(vacancies.pool)
        if isinstance(found, Deferred):
            return found.addCallback(self._checked, vacancies)
        return self._checked(found, vacancies)

    def _checked(self, found: int, vacancies: Vacancies) -> int | Deferred[int]:
        """What was found, if it still is what it seems; else, when there is more of the pool, an address of that."""
        lease = self._table.at(found) if found else None
        if lease is not None and lease.key:
            # its machine may have it still, by another server's word
            return self.refresh(lease.key).addCallback(self._ended, found, vacancies)
        more = self.more(vacancies.pool) if not found else None
        return found if more is None else more.addCallback(lambda brought: self.take(vacancies) if brought else 0)

    def _ended(self, known: bool, address: int, vacancies: Vacancies) -> int | Deferred[int]:
        """An address whose lease has ended, if that is so by the store's word, too; else another one."""
        if not known:
            return 0
        return address if vacancies.pool.free(address, self._seconds()) else self.take(vacancies)

    def replenish(self, pool: Pool) -> None:
        """An address was taken: see to it that there are more."""
        enough = slice_size(pool.last - pool.first + 1)
        if pool.unseen < enough and self._next.get(pool, 0.0) <= self._seconds():
            self._fetch(pool)

    def more(self, pool: Pool) -> Deferred[bool] | None:
        """
        There is no address left here: fires when there is more, or with False when there is not.

        @return: None where there was nothing to be had a moment ago, or too many wait.
        """
        waiting = self._waiting.setdefault(pool, [])
        if inf > self._next.get(pool, 0.0) > self._seconds() or len(waiting) >= ASKED:
            return None
        more: Deferred[bool] = Deferred()
        waiting.append(more)
        if self._next.get(pool, 0.0) < inf:
            self._fetch(pool)
        return more

    def doubt(self, pool: Pool) -> None:
        """An address of this server's own slices was another's: what does it still hold?"""
        if self._next.get(pool, 0.0) <= self._seconds():
            self._fetch(pool).addCallback(lambda _: self._next.update({pool: self._seconds() + PAUSE}))

    def _fetch(self, pool: Pool) -> Deferred[Any]:
        self._next[pool] = inf
        reserved: Deferred[Any] = maybeDeferred(self._store.reserve, pool.first, pool.last - pool.first + 1)
        reserved.addCallback(self._allot, pool)
        reserved.addErrback(self._failed)
        return reserved.addCallback(self._fetched, pool)

    def _allot(self, allotment: Allotment, pool: Pool) -> bool:
        """Whether it brought anything."""
        before = pool.unseen
        pool.allot(allotment.slices)
        self.learn(allotment.leases)
        self._heard(None)
        return pool.unseen > before

    def _fetched(self, more: bool, pool: Pool) -> None:
        self._next[pool] = self._seconds() + (0 if more else PAUSE)
        for waiting in self._waiting.pop(pool, ()):
            waiting.callback(more)

    def _heard(self, _: object) -> bool:
        if self.away:
            self.away = False
            self._next = {pool: when for pool, when in self._next.items() if when == inf}
        return True

    def _failed(self, failure: Failure) -> bool:
        if not failure.check(StoreError):
            self.log.failure("the lease store {name} failed", failure, name=self._store.name)
        self.away = True
        return False
