"""
DHCP at work: datagrams in, facts gathered, a decision carried out, datagrams out.

What has to be waited for stands here and nowhere else in this room: the access backends' verdict, the probe of an
address, the lease store's commit.  Nothing leaves before the lease that it promises is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import IPv4Address
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybootd.dhcp.client import understand
from pybootd.dhcp.decision import Decision
from pybootd.dhcp.delivery import LIMITED_BROADCAST
from pybootd.dhcp.exchanges import Exchanges
from pybootd.dhcp.facts import ALLOWED, Facts
from pybootd.dhcp.gate import Gate
from pybootd.dhcp.gathering import Gathering
from pybootd.dhcp.history import History
from pybootd.dhcp.once import Once, Orders
from pybootd.dhcp.packet import decode
from pybootd.dhcp.policy import decide, network_of
from pybootd.dhcp.pool import Pool
from pybootd.dhcp.replies import Replies, Transport
from pybootd.dhcp.request import Kind, Request
from pybootd.dhcp.settings import Network, Settings
from pybootd.dhcp.sharing import Sharing
from pybootd.dhcp.telling import Telling
from pybootd.dhcp.vacancy import Probe, Vacancies
from pybootd.errors import MalformedPacket
from pybootd.events import Bus
from pybootd.interfaces import IAccessControl, Verdict
from pybootd.leases.commit import GroupCommit, Outcome
from pybootd.leases.lease import Claim, Lease, State
from pybootd.leases.table import REST_SECONDS, LeaseTable
from pybootd.machine import Firmware, Machine, Machines, Refusal, mac_text
from pybootd.throttle import Throttle

LEAVING = (Kind.DECLINE, Kind.RELEASE)
"""Who says this wants no address, and needs nobody's leave."""

OTHER = b"?"
"""Stands for a machine that only the store knows: no hardware address is so short."""


class Dhcp:
    """The DHCP, PXE and BOOTP server, without its sockets."""

    log = Logger()

    def __init__(
        self,
        settings: Settings,
        table: LeaseTable,
        pools: Mapping[int, Pool],
        commit: GroupCommit,
        transport: Transport,
        machines: Machines,
        bus: Bus,
        clock: Any,
        *,
        access: IAccessControl | None = None,
        access_timeout: float = 5.0,
        questions: int = 64,
        probes: int = 1024,
        sharing: Sharing | None = None,
        orders: Orders | None = None,
        conflict_check: bool = True,
        size_of: Callable[[str, Machine], int | None] | None = None,
        time: Callable[[], float] | None = None,
        exchanges: Exchanges | None = None,
    ) -> None:
        """
        @param pools: by the first address of their network.
        @param clock: for timers; C{time} (seconds since the epoch) comes from it if not given.
        @param questions: how many machines the access backends may be asked about at once.
        @param probes: how many machines may wait for the probe of an address.
        @param sharing: where other servers use the same lease store.
        @param orders: the list of next boots.
        @param size_of: the size of a boot file, where it is known at once (option 13); None: it is never told.
        @param exchanges: where packets and traces of decisions are kept for somebody to read; None: nobody does.
        """
        self.table = table
        self._exchanges = exchanges
        self._traced = exchanges is not None
        self._clock = clock
        self._commit = commit
        self._sharing = sharing
        self._machines = machines
        self._time = time or clock.seconds
        self._telling = Telling(machines, bus, self._time)
        self._vacancies: dict[int, Vacancies] = {}
        self._searching: dict[bytes, Request] = {}
        self._history = History()
        self._once = Once(orders) if orders is not None else None
        self._gathering = Gathering(table, commit, self._history, self._once, self._time)
        self._replies = Replies(transport, table, self._telling, self._history, self._once, exchanges, self._time)
        self._malformed = Throttle(clock.seconds)
        self.configure(
            settings,
            pools,
            access=access,
            access_timeout=access_timeout,
            questions=questions,
            probes=probes,
            conflict_check=conflict_check,
            size_of=size_of,
        )

    def configure(
        self,
        settings: Settings,
        pools: Mapping[int, Pool],
        *,
        access: IAccessControl | None = None,
        access_timeout: float = 5.0,
        questions: int = 64,
        probes: int = 1024,
        conflict_check: bool = True,
        size_of: Callable[[str, Machine], int | None] | None = None,
    ) -> None:
        """
        Go by these settings from now on; parameters as at the beginning.

        What is being written down is answered as it was decided; whoever waits for a verdict or for an address is
        decided about anew.  A pool that stays the same object keeps what was found out about its addresses.
        """
        self.settings = settings
        self._interface_names = {network.interface: network.interface_name for network in settings.networks}
        self._broadcasts = {0, LIMITED_BROADCAST, *(network.last for network in settings.networks)}
        self._gate = self._new_gate(access, access_timeout, questions) if access is not None else None
        self._size_of = size_of
        before = {vacancies.pool: vacancies for vacancies in self._vacancies.values()}
        self._vacancies = {
            network.first: self._vacant(network, pools[network.first], conflict_check, probes, before)
            for network in settings.networks
            if network.first in pools
        }

    def _new_gate(self, access: IAccessControl, timeout: float, questions: int) -> Gate:
        def judged(request: Request, machine: Machine, verdict: Verdict) -> None:
            if gate is self._gate:
                self._answer(request, machine, verdict)
            else:
                self._admit(request, machine)  # the question was asked under settings that hold no longer

        gate = Gate(access, self._clock, timeout, judged, limit=questions)
        return gate

    def _vacant(
        self, network: Network, pool: Pool, conflict_check: bool, probes: int, before: Mapping[Pool, Vacancies]
    ) -> Vacancies:
        probe: Probe | None = (
            (lambda address: self._replies.transport.probe(network, address)) if conflict_check else None
        )
        occupied = partial(self._conflict, network)
        if pool in before:
            before[pool].turn(probe, occupied, probes)
            return before[pool]
        return Vacancies(pool, probe, occupied, self._time, probes)

    def forget(self) -> None:
        """What machines made of earlier answers counts no more: the clock by which it was noted was set."""
        self._history.forget()

    def start(self) -> None:
        """The sockets are open: look for free addresses before anybody asks."""
        for vacancies in self._vacancies.values():
            vacancies.look_ahead()

    # in

    def received(
        self, data: bytes, source: tuple[str, int], destination: int = 0, interface: int = 0, port: int = 67
    ) -> None:
        """A datagram arrived at one of this server's ports.  Never raises for what it holds."""
        try:
            request = understand(decode(data), source, port, interface, destination not in self._broadcasts)
        except MalformedPacket as error:
            if self._malformed.admits(source[0]):
                self.log.warn("a datagram from {source} is no request: {reason}", source=source[0], reason=str(error))
            return
        network = network_of(request, self.settings)
        if not self._concerns(request, network):
            return
        name = self._interface_names.get(request.interface, "")
        machine = self._telling.seen(request, self.settings.host(request.key), name)
        if self._exchanges is not None:
            self._exchanges.asked(machine.mac, request, data, machine.last_seen)
        self._admit(request, machine, network)

    def _admit(self, request: Request, machine: Machine, network: Network | None = None) -> None:
        """
        Whether it is served at all; then on to the answer.

        @param network: L{network_of} it, where that is known already.
        """
        if self._gate is None or self.settings.host(request.key).allow is not None or request.kind in LEAVING:
            self._answer(request, machine, ALLOWED, network)
        else:
            self._gate.ask(
                request, machine, request.uuid or self._gathering.known_uuid(self.settings, request, machine)
            )

    def _concerns(self, request: Request, network: Network | None) -> bool:
        """Whether this server has anything to do with it; what has not leaves no trace."""
        if network is None and not request.giaddr:
            # from an interface that is not served: somebody else's business, or an echo of what came by another
            return False
        if not self.settings.proxy or (request.boots and request.kind is not Kind.BOOTP):
            return True
        # beside a server that gives the addresses: only the machines that boot here
        machine = self._machines.get(mac_text(request.key))
        return machine is not None and machine.booted

    # the decision

    def _answer(self, request: Request, machine: Machine, verdict: Verdict, network: Network | None = None) -> None:
        key = request.key
        if self.table.pending(key):
            return  # its first REQUEST is being written down; the answer to that one is on its way
        if key in self._searching:
            self._searching[key] = request  # an address for it is being looked for; the latest request is answered
            return
        network = network or network_of(request, self.settings)
        machine.boot_file = verdict.boot_file or machine.boot_file
        if (
            self._sharing is not None
            and network is not None
            and verdict.allowed
            and self._gathering.stranger(self.settings, request, network)
        ):
            self._sharing.look(key, partial(self._looked, request, machine, verdict, self.settings))
        else:
            facts = self._gathering.facts(self.settings, request, machine, verdict, network)
            self._decide(request, machine, facts, network)

    def _looked(self, request: Request, machine: Machine, verdict: Verdict, before: Settings, known: bool) -> None:
        """The store was asked about the machine; without its word nothing can be promised to it."""
        if self.settings is not before:
            self._admit(request, machine)  # other settings hold by now
            return
        network = network_of(request, self.settings)
        facts = self._gathering.facts(self.settings, request, machine, verdict, network)
        facts.writable, facts.complete = facts.writable and known, known
        self._decide(request, machine, facts, network)

    def _decide(self, request: Request, machine: Machine, facts: Facts, network: Network | None) -> None:
        key = request.key
        decision = decide(request, self.settings, facts, network=network, traced=self._traced)
        if decision.wants_address and network is not None and network.first in self._vacancies:
            vacancies = self._vacancies[network.first]
            taking = vacancies.take if self._sharing is None else partial(self._sharing.take, vacancies)
            found = taking(request.requested)
            if isinstance(found, Deferred):
                self._searching[key] = request
                found.addCallback(self._found, key, machine, facts, network, vacancies)
                found.addErrback(lambda failure: self.log.failure("cannot answer {mac}", failure, mac=machine.mac))
                return
            self._consider(facts, found)
            if found:
                decision = decision.wants_address(found)
            elif not facts.writable:
                decision = decide(request, self.settings, facts, network=network, traced=self._traced)
        self._carry_out(request, machine, facts, decision, network)

    def _consider(self, facts: Facts, address: int) -> None:
        """This address was found, or none (0): the pool is empty, or the store could not be asked for more of it."""
        facts.candidate = address
        if not address and self._sharing is not None and self._sharing.away:
            facts.writable = False

    def _found(
        self, address: int, key: bytes, machine: Machine, before: Facts, network: Network, vacancies: Vacancies
    ) -> None:
        """An address was found, or none (0), for a machine that waited; meanwhile much may have changed."""
        request = self._searching.pop(key)
        if self._vacancies.get(network.first) is not vacancies:
            self._admit(request, machine)  # the address is of a pool that is there no longer
            return
        facts = self._gathering.facts(self.settings, request, machine, before.verdict, network, before.attempt)
        self._consider(facts, address)
        self._carry_out(request, machine, facts, decide(request, self.settings, facts, traced=self._traced), network)

    def _conflict(self, network: Network, address: int) -> None:
        """Somebody answered at an address of the pool: it rests, and stays resting after a restart."""
        now = self._time()
        known, until = self.table.at(address), now + REST_SECONDS
        if known is not None and known.state is State.BOUND:
            # most likely the machine whose lease has ended, by this server's clock at least, and that has not left
            rest = evolve(known, expires=until)
        else:
            rest = Lease(address, b"", State.DECLINED, until)
        self.table.record(rest)
        self._commit.submit(Claim(rest, fresh=False), lambda outcome: None)
        self._note(network, rest)
        self._telling.occupied(address)

    def _note(self, network: Network, lease: Lease) -> None:
        if network.first in self._vacancies:
            self._vacancies[network.first].pool.note(lease)

    def _give_back(self, network: Network, address: int) -> None:
        if address and network.first in self._vacancies:
            self._vacancies[network.first].pool.give_back(address)

    # what was decided

    def _carry_out(
        self, request: Request, machine: Machine, facts: Facts, decision: Decision, network: Network | None
    ) -> None:
        key = request.key
        if self._exchanges is not None:
            self._exchanges.decided(machine.mac, request, decision)
        if decision.reason and not decision.routine:
            self._telling.refused(request, machine, decision)
        if decision.denied:
            machine.refusal = Refusal(decision.reason, decision.setting or str(decision.origin or ""))
        elif decision.replies:
            machine.refusal = None
        if decision.uses:
            self._machines.settle(machine, IPv4Address(decision.uses))
            if self._once is not None and request.kind is Kind.SELECTING:
                self._once.took(key)
        if network is None:
            return
        if decision.release:
            address = self.table.withdraw(key)
            if decision.claim is None:
                self._give_back(network, address)
        if request.firmware is Firmware.IPXE and request.kind is Kind.SELECTING:
            self._history.took(key, facts.now)
        if request.kind is Kind.DECLINE and decision.claim is not None:
            self._history.declined(key, facts.now)
        if self._size_of is not None and decision.replies and 13 in request.parameters and facts.boot_file_size is None:
            decision = self._with_size(request, machine, facts, decision, self._size_of)
        if decision.claim is not None:
            self._write_down(request, machine, facts, decision, network, decision.claim)
            return
        self._replies.tell_form(request, machine, facts, decision, self.settings)
        if decision.offer:
            self.table.offer(key, decision.offer, facts.now)
        else:
            self._give_back(network, facts.candidate)
        self._replies.send(request, machine, decision, network, self.settings)

    def _with_size(
        self,
        request: Request,
        machine: Machine,
        facts: Facts,
        decision: Decision,
        size_of: Callable[[str, Machine], int | None],
    ) -> Decision:
        name = decision.replies[0].boot_file
        size = size_of(name, machine) if name and "://" not in name else None
        if size is None:
            return decision
        facts.boot_file_size = size
        return decide(request, self.settings, facts, traced=self._traced)

    def _write_down(
        self, request: Request, machine: Machine, facts: Facts, decision: Decision, network: Network, claim: Claim
    ) -> None:
        self.table.begin(claim.lease)

        def done(outcome: Outcome) -> None:
            # what was declined rests, if only in memory
            counts = outcome is Outcome.DURABLE or claim.lease.state is State.DECLINED
            self.table.settle(claim.lease, counts)
            if counts:
                self._note(network, claim.lease)
            if outcome is Outcome.DURABLE:
                if not decision.replies:
                    self._telling.settled(machine, claim.lease)
                self._replies.send(request, machine, decision, network, self.settings)
            else:
                self._not_written(request, machine, facts, network, claim, outcome)

        self._commit.submit(claim, done)

    def _not_written(
        self, request: Request, machine: Machine, facts: Facts, network: Network, claim: Claim, outcome: Outcome
    ) -> None:
        """The claim came to nothing: what is to be answered instead."""
        address = claim.lease.address
        if outcome is Outcome.VOID:
            # another server has given the address away, so what was known of it here is outdated
            self.table.withdraw(request.key)
            self._lost(network, claim)
            taken = facts.taken | {address}
            facts = evolve(facts, lease=None, offered=0, candidate=0, owner=OTHER, taken=taken)
        else:
            facts = evolve(facts, candidate=0, writable=False)
            if claim.fresh:
                self._give_back(network, address)
        if request.kind not in LEAVING:
            self._carry_out(request, machine, facts, decide(request, self.settings, facts), network)

    def _lost(self, network: Network, claim: Claim) -> None:
        """Another machine has this address, by another server's word."""
        address = claim.lease.address
        if self._sharing is None:
            self.table.forget(address)
            return
        self._sharing.learn([self._sharing.foreign(address)])
        if claim.fresh and network.first in self._vacancies:
            self._sharing.doubt(self._vacancies[network.first].pool)
