"""
Free addresses at which nobody answers, found before somebody waits for one.

A pool knows which addresses nobody was given; whether somebody uses one all the same only the network knows.  The next
few are asked for ahead, so that not even a new machine waits; where more machines come than that, each waits for one
probe, all of them at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybootd.dhcp.pool import Pool

AHEAD = 8
"""Addresses of one network that are kept ready."""

HOLDS = 300.0
"""Seconds: an address at which nobody answered longer ago is asked for again."""

Probe = Callable[[int], "Deferred[bool] | None"]
"""Asks whether anybody has an address; None where that cannot be asked."""


class Vacancies:
    """The free addresses of one pool."""

    log = Logger()

    def __init__(
        self,
        pool: Pool,
        probe: Probe | None,
        occupied: Callable[[int], None],
        time: Callable[[], float],
        waiting: int = 1024,
    ) -> None:
        """
        @param probe: None: no address is asked for (C{conflict_check = 0}).
        @param occupied: told of an address of the pool at which somebody answered.
        @param time: seconds since the epoch.
        @param waiting: machines that may wait for a probe; whoever comes on top gets an address without one.
        """
        self._most = waiting
        self.pool = pool
        self._probe = probe
        self._occupied = occupied
        self._time = time
        self._ready: deque[tuple[int, float]] = deque()
        self._waiting: deque[Deferred[int]] = deque()
        self._probing: set[int] = set()
        self._looking = False

    def turn(self, probe: Probe | None, occupied: Callable[[int], None], waiting: int) -> None:
        """Ask in this way from now on; parameters as at the beginning.  What was found out already still counts."""
        self._probe, self._occupied, self._most = probe, occupied, waiting
        if probe is None:
            while self._ready:
                self.pool.give_back(self._ready.popleft()[0])

    def take(self, wish: int = 0) -> int | Deferred[int]:
        """
        An address for a new machine; it is to be offered at once, or given back to the pool.

        @param wish: the one that it asks for; it gets that, if it is free.
        @return: 0 where there is none.
        """
        now = self._time()
        wished = wish if wish and self.pool.free(wish, now) else 0
        if self._probe is None:
            return wished or self.pool.take(now)
        if wished:
            return self._wished(self._probe, wished)
        address = self._first(now)
        self.look_ahead()
        address = address or self._first(now)
        if address or not self._probing or len(self._waiting) >= self._most:
            return address or self.pool.take(now)
        waiting: Deferred[int] = Deferred()
        self._waiting.append(waiting)
        self.look_ahead()
        return waiting

    def look_ahead(self) -> None:
        """Ask for the next few addresses, and for one more for each machine that waits."""
        if self._probe is None or self._looking:
            return
        self._looking = True
        while len(self._ready) + len(self._probing) < AHEAD + len(self._waiting):
            # the pool keeps it aside a little longer than it stays ready here
            address = self.pool.take(self._time(), HOLDS + 60)
            if not address:
                break
            self._ask(self._probe, address)
        self._looking = False

    def _wished(self, probe: Probe, address: int) -> int | Deferred[int]:
        asked = probe(address)
        if asked is None:
            return address

        def answered(taken: bool) -> int | Deferred[int]:
            if taken:
                self._occupied(address)
            return address if self.pool.free(address, self._time()) else self.take()

        return asked.addCallback(answered)

    def _first(self, now: float) -> int:
        """The foremost address that is ready and still free; 0 where there is none."""
        while self._ready:
            address, asked = self._ready.popleft()
            if asked + HOLDS < now:
                self.pool.give_back(address)
            elif self.pool.free(address, now):
                return address
        return 0

    def _ask(self, probe: Probe, address: int) -> None:
        asked = probe(address)
        if asked is None:
            self._ready.append((address, self._time()))
            return
        self._probing.add(address)
        asked.addErrback(self._unknown)
        asked.addCallback(self._answered, address)

    def _unknown(self, failure: Failure) -> bool:
        self.log.failure("an address cannot be asked for", failure)
        return False

    def _answered(self, taken: bool, address: int) -> None:
        self._probing.discard(address)
        if taken:
            self._occupied(address)
        else:
            self._ready.append((address, self._time()))
        self.look_ahead()
        while self._waiting:
            found = self._first(self._time())
            if not found and self._probing:
                return
            self._waiting.popleft().callback(found)
