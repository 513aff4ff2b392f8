"""What is known at the moment of a decision, looked up where it is kept."""

from __future__ import annotations

from collections.abc import Callable

from pybootd.dhcp.facts import Facts
from pybootd.dhcp.history import History
from pybootd.dhcp.once import Once
from pybootd.dhcp.policy import network_of, spoken_of, takes_ours
from pybootd.dhcp.request import Kind, Request
from pybootd.dhcp.settings import Network, Settings
from pybootd.interfaces import Verdict
from pybootd.leases.commit import GroupCommit
from pybootd.leases.lease import State
from pybootd.leases.table import LeaseTable
from pybootd.machine import Firmware, Machine

NONE: frozenset[int] = frozenset()


class Gathering:
    """Where facts come from."""

    def __init__(
        self,
        table: LeaseTable,
        commit: GroupCommit,
        history: History,
        once: Once | None,
        time: Callable[[], float],
    ) -> None:
        """Parameters as L{pybootd.dhcp.protocol.Dhcp} has them."""
        self._table = table
        self._commit = commit
        self._history = history
        self._once = once
        self._time = time

    def facts(
        self,
        settings: Settings,
        request: Request,
        machine: Machine,
        verdict: Verdict,
        network: Network | None,
        attempt: int | None = None,
    ) -> Facts:
        """
        What is known at this moment.

        @param attempt: as it was found before, where the same request is decided about again.
        """
        now, key = self._time(), request.key
        if network is None:
            return Facts(now, verdict, booted=machine.booted)
        lease, spoken = self._table.of(key, network.first, network.last), spoken_of(request)
        could_have = {spoken, settings.host(key).address, lease.address if lease is not None else 0}
        taken = [one for one in could_have if one and self._table.taken(one, key, now)]
        facts = Facts(
            now,
            verdict,
            lease,
            self._table.offered(key, now),
            owner=self._table.owner(spoken, now) if spoken else None,
            taken=frozenset(taken) if taken else NONE,
            booted=machine.booted,
            writable=not self._commit.failing,
            alone=self._commit.alone,
        )
        if request.boots:
            facts.attempt = self._history.attempt(key, request, now) if attempt is None else attempt
            if request.firmware is Firmware.IPXE:
                facts.loaded, facts.loads = self._history.loads(key, now)
            if self._once is not None:
                facts.next_boot = self._once.file(key, request, now)
        if request.kind is Kind.DECLINE:
            facts.declined = self._history.declines(key, now)
        return facts

    def stranger(self, settings: Settings, request: Request, network: Network) -> bool:
        """
        Whether another server may know more of the machine: here, in this network, it has no address just now, or
        another one than it speaks of.
        """
        now, key, spoken = self._time(), request.key, spoken_of(request)
        if request.kind is Kind.SELECTING and not takes_ours(request, settings, network):
            return False  # it takes another server's offer, which is none of this one's business
        lease, offered = self._table.of(key, network.first, network.last), self._table.offered(key, now)
        holds = lease is not None and lease.state is State.BOUND and lease.expires > now
        addresses = {offered, lease.address if lease is not None and holds else 0} - {0}
        return not addresses or (spoken > 0 and spoken not in addresses)

    def known_uuid(self, settings: Settings, request: Request, machine: Machine) -> bytes:
        """The UUID that the boot phase told, for an operating system does not repeat it."""
        if machine.uuid is not None:
            return machine.uuid.bytes_le
        network = network_of(request, settings)
        lease = self._table.of(request.key, network.first, network.last) if network is not None else None
        return lease.uuid if lease is not None else b""
