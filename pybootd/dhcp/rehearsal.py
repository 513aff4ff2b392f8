"""
DHCP in memory: one request after the other is decided about, and what was decided counts for the next.

The same decisions as L{pybootd.dhcp.protocol} makes, without what has to be waited for: nothing is probed, every
address and lease is in memory, and every lease is durable at once.  For the replay of captures.

Pure: time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import evolve, frozen

from pybootd.dhcp.decision import Decision
from pybootd.dhcp.facts import Facts
from pybootd.dhcp.history import History
from pybootd.dhcp.policy import decide, network_of, spoken_of
from pybootd.dhcp.pool import Pool
from pybootd.dhcp.request import Kind, Request
from pybootd.dhcp.settings import Network, Settings
from pybootd.interfaces import Verdict
from pybootd.leases.table import LeaseTable
from pybootd.machine import Firmware

Judge = Callable[[Request, bytes], Verdict]
"""Says what the access backends say of a request; the machine's UUID, as it was heard before, comes along."""


def pools_of(
    settings: Settings, table: LeaseTable, reclaim: bool, slices: Iterable[range] | None = None
) -> dict[int, Pool]:
    """
    A pool for each network that gives addresses to whoever asks, by the network's first address.

    @param reclaim: C{reclaim = expired}.
    @param slices: the parts of them that may be given away, where that is not all.
    """
    pools = {}
    for network in settings.networks:
        if network.pool_count:
            reserved = {address for address in settings.reserved if address in network}
            reserved |= {network.server, network.first, network.last}
            first, count = network.pool_first, network.pool_count
            pools[network.first] = Pool(first, count, table, reserved=reserved, reclaim=reclaim, slices=slices)
    return pools


@frozen
class Answered:
    """One request, and what would be done about it."""

    request: Request
    """As it was decided about."""
    decision: Decision
    adapted: bool = False
    """In the capture it took another server's offer; it is taken to have taken the one that was made here."""


class Rehearsal:
    """One server, in memory."""

    def __init__(self, settings: Settings, judge: Judge, reclaim: bool = False, alone: bool = True) -> None:
        """
        @param reclaim: C{reclaim = expired}.
        @param alone: no other server uses the same lease store.
        """
        self._settings = settings
        self._judge = judge
        self._alone = alone
        self._table = LeaseTable()
        self._pools = pools_of(settings, self._table, reclaim)
        self._history = History()
        self._booted: set[bytes] = set()
        self._uuids: dict[bytes, bytes] = {}

    def ask(self, request: Request, now: float) -> Answered | None:
        """
        What is answered to this request; it counts for those that follow.

        @param now: seconds since the epoch; never less than the time before.
        @return: None where the request is none of this server's business.
        """
        key, network = request.key, network_of(request, self._settings)
        boots = request.boots and request.kind is not Kind.BOOTP
        if self._settings.proxy and not boots and key not in self._booted:
            return None  # beside a server that gives the addresses: only the machines that boot here
        if boots:
            self._booted.add(key)
        if request.uuid:
            self._uuids[key] = request.uuid
        if network is None:
            facts = Facts(now, booted=key in self._booted)
            return Answered(request, decide(request, self._settings, facts))
        adapted = self._adapted(request, key, network, now)
        facts = self._facts(adapted, key, network, now)
        decision = decide(adapted, self._settings, facts)
        if decision.wants_address and network.first in self._pools:
            facts = evolve(facts, candidate=self._free(network, adapted, now))
            decision = decision.wants_address(facts.candidate) if facts.candidate else decision
        self._carry_out(adapted, key, network, facts, decision)
        return Answered(adapted, decision, adapted is not request)

    def _adapted(self, request: Request, key: bytes, network: Network, now: float) -> Request:
        """Who took another server's offer in the capture would have had ours to take."""
        offered = self._table.offered(key, now)
        if self._settings.proxy or request.kind is not Kind.SELECTING or not offered:
            return request
        ours = (network.server, request.relay.server if request.relay is not None else 0)
        if request.requested == offered and request.server in ours:
            return request
        return evolve(request, requested=offered, server=network.server)

    def _facts(self, request: Request, key: bytes, network: Network, now: float) -> Facts:
        table = self._table
        lease, spoken = table.of(key, network.first, network.last), spoken_of(request)
        could_have = {spoken, self._settings.host(key).address, lease.address if lease is not None else 0}
        loaded, loads = self._history.loads(key, now) if request.firmware is Firmware.IPXE else ("", 0)
        return Facts(
            now,
            self._judge(request, self._uuids.get(key, b"")),
            lease,
            table.offered(key, now),
            owner=table.owner(spoken, now) if spoken else None,
            taken=frozenset(one for one in could_have if one and table.taken(one, key, now)),
            booted=key in self._booted,
            alone=self._alone,
            attempt=self._history.attempt(key, request, now) if request.boots else 0,
            loaded=loaded,
            loads=loads,
            declined=self._history.declines(key, now),
        )

    def _free(self, network: Network, request: Request, now: float) -> int:
        pool = self._pools[network.first]
        return request.requested if pool.free(request.requested, now) else pool.take(now)

    def _carry_out(self, request: Request, key: bytes, network: Network, facts: Facts, decision: Decision) -> None:
        pool = self._pools.get(network.first)
        unused = self._table.withdraw(key) if decision.release and decision.claim is None else 0
        if pool is not None:
            for address in (unused, 0 if decision.offer or decision.claim else facts.candidate):
                if address:
                    pool.give_back(address)
        if request.firmware is Firmware.IPXE and request.kind is Kind.SELECTING:
            self._history.took(key, facts.now)
        if request.kind is Kind.DECLINE and decision.claim is not None:
            self._history.declined(key, facts.now)
        if decision.claim is not None:
            self._table.withdraw(key)
            self._table.record(decision.claim.lease)
            if pool is not None:
                pool.note(decision.claim.lease)
        elif decision.offer:
            self._table.offer(key, decision.offer, facts.now)
        if decision.replies and request.kind is Kind.DISCOVER and request.boots:
            self._history.answered(key)
        if decision.offer and decision.replies and request.firmware is Firmware.IPXE:
            self._history.told(key, decision.replies[0].boot_file)
