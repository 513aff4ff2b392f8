"""
DHCP at work: datagrams in, facts gathered, a decision carried out, datagrams out.

What has to be waited for stands here and nowhere else in this room: the access backends' verdict, the probe of an
address, the lease store's commit.  Nothing leaves before the lease that it promises is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import IPv4Address
from typing import Any, Protocol

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybootd.dhcp.client import understand
from pybootd.dhcp.decision import Decision, Reply
from pybootd.dhcp.delivery import LIMITED_BROADCAST, Destination, route
from pybootd.dhcp.exchanges import Exchanges
from pybootd.dhcp.facts import ALLOWED, Facts
from pybootd.dhcp.gate import Gate
from pybootd.dhcp.history import History
from pybootd.dhcp.once import Once, Orders
from pybootd.dhcp.packet import decode, encode
from pybootd.dhcp.policy import decide, key_of, network_of, spoken_of, takes_ours
from pybootd.dhcp.pool import Pool
from pybootd.dhcp.quirks import forms, quirk_of
from pybootd.dhcp.request import Kind, Request
from pybootd.dhcp.settings import Network, Settings
from pybootd.dhcp.sharing import Sharing
from pybootd.dhcp.telling import Telling, offers
from pybootd.dhcp.vacancy import Probe, Vacancies
from pybootd.errors import MalformedPacket
from pybootd.events import Bus
from pybootd.interfaces import IAccessControl, Verdict
from pybootd.leases.commit import GroupCommit, Outcome
from pybootd.leases.lease import Claim, Lease, State
from pybootd.leases.table import REST_SECONDS, LeaseTable
from pybootd.machine import Firmware, Machine, Machines, Refusal, mac_text
from pybootd.text import printable
from pybootd.throttle import Throttle

NONE: frozenset[int] = frozenset()

OTHER = b"?"
"""Stands for a machine that only the store knows: no hardware address is so short."""


class Transport(Protocol):
    """What carries replies: sockets in the daemon, a list in tests."""

    def send(self, data: bytes, destination: Destination, network: Network, port: int) -> None:
        """Send a datagram from this server's C{port}; never raises."""

    def announce(self, network: Network, chaddr: bytes) -> None:
        """One ARP frame to a client that needs it."""

    def probe(self, network: Network, address: int) -> Deferred[bool] | None:
        """Does anybody have this address?  None where that cannot be asked."""


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
        self._transport = transport
        self._machines = machines
        self._time = time or clock.seconds
        self._telling = Telling(machines, bus, self._time)
        self._vacancies: dict[int, Vacancies] = {}
        self._searching: dict[bytes, Request] = {}
        self._history = History()
        self._once = Once(orders) if orders is not None else None
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
        probe: Probe | None = (lambda address: self._transport.probe(network, address)) if conflict_check else None
        occupied = partial(self._conflict, network)
        if pool in before:
            before[pool].turn(probe, occupied, probes)
            return before[pool]
        return Vacancies(pool, probe, occupied, self._time, probes)

    def forget(self) -> None:
        """What machines made of earlier answers counts no more: the clock by which it was noted was set."""
        self._history = History()

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
        if not self._concerns(request):
            return
        name = self._interface_names.get(request.interface, "")
        machine = self._telling.seen(request, self.settings.host(key_of(request)), name)
        if self._exchanges is not None:
            self._exchanges.asked(machine.mac, request, data, machine.last_seen)
        self._admit(request, machine)

    def _admit(self, request: Request, machine: Machine) -> None:
        """Whether it is served at all; then on to the answer."""
        decided = self.settings.host(key_of(request)).allow is not None
        if self._gate is None or decided or request.kind in (Kind.DECLINE, Kind.RELEASE):
            self._answer(request, machine, ALLOWED)
        else:
            self._gate.ask(request, machine, request.uuid or self._known_uuid(request, machine))

    def _concerns(self, request: Request) -> bool:
        """Whether this server has anything to do with it; what has not leaves no trace."""
        if not request.giaddr and network_of(request, self.settings) is None:
            # from an interface that is not served: somebody else's business, or an echo of what came by another
            return False
        if not self.settings.proxy or (request.boots and request.kind is not Kind.BOOTP):
            return True
        # beside a server that gives the addresses: only the machines that boot here
        machine = self._machines.get(mac_text(key_of(request)))
        return machine is not None and machine.booted

    def _known_uuid(self, request: Request, machine: Machine) -> bytes:
        """The UUID that the boot phase told, for an operating system does not repeat it."""
        if machine.uuid is not None:
            return machine.uuid.bytes_le
        network = network_of(request, self.settings)
        lease = self.table.of(key_of(request), network.first, network.last) if network is not None else None
        return lease.uuid if lease is not None else b""

    # the decision

    def _answer(self, request: Request, machine: Machine, verdict: Verdict) -> None:
        key = key_of(request)
        if self.table.pending(key):
            return  # its first REQUEST is being written down; the answer to that one is on its way
        if key in self._searching:
            self._searching[key] = request  # an address for it is being looked for; the latest request is answered
            return
        network = network_of(request, self.settings)
        machine.boot_file = verdict.boot_file or machine.boot_file
        if self._sharing is not None and network is not None and verdict.allowed and self._stranger(request, network):
            self._sharing.look(key, partial(self._looked, request, machine, verdict, self.settings))
        else:
            self._decide(request, machine, self._facts(request, machine, verdict, network), network)

    def _stranger(self, request: Request, network: Network) -> bool:
        """
        Whether another server may know more of the machine: here, in this network, it has no address just now, or
        another one than it speaks of.
        """
        now, key, spoken = self._time(), key_of(request), spoken_of(request)
        if request.kind is Kind.SELECTING and not takes_ours(request, self.settings, network):
            return False  # it takes another server's offer, which is none of this one's business
        lease, offered = self.table.of(key, network.first, network.last), self.table.offered(key, now)
        holds = lease is not None and lease.state is State.BOUND and lease.expires > now
        addresses = {offered, lease.address if lease is not None and holds else 0} - {0}
        return not addresses or (spoken > 0 and spoken not in addresses)

    def _looked(self, request: Request, machine: Machine, verdict: Verdict, before: Settings, known: bool) -> None:
        """The store was asked about the machine; without its word nothing can be promised to it."""
        if self.settings is not before:
            self._admit(request, machine)  # other settings hold by now
            return
        network = network_of(request, self.settings)
        facts = self._facts(request, machine, verdict, network)
        facts.writable, facts.complete = facts.writable and known, known
        self._decide(request, machine, facts, network)

    def _decide(self, request: Request, machine: Machine, facts: Facts, network: Network | None) -> None:
        key = key_of(request)
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
            if found or not facts.writable:
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
        facts = self._facts(request, machine, before.verdict, network, before.attempt)
        self._consider(facts, address)
        self._carry_out(request, machine, facts, decide(request, self.settings, facts, traced=self._traced), network)

    def _facts(
        self,
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
        now, key = self._time(), key_of(request)
        if network is None:
            return Facts(now, verdict, booted=machine.booted)
        if attempt is None:
            attempt = self._history.attempt(key, request, now) if request.boots else 0
        loaded, loads = self._history.loads(key, now) if request.firmware is Firmware.IPXE else ("", 0)
        lease, spoken = self.table.of(key, network.first, network.last), spoken_of(request)
        could_have = {spoken, self.settings.host(key).address, lease.address if lease is not None else 0}
        could_have.discard(0)
        return Facts(
            now,
            verdict,
            lease,
            self.table.offered(key, now),
            owner=self.table.owner(spoken, now) if spoken else None,
            taken=frozenset([one for one in could_have if self.table.taken(one, key, now)]) if could_have else NONE,
            booted=machine.booted,
            writable=not self._commit.failing,
            attempt=attempt,
            loaded=loaded,
            loads=loads,
            next_boot=self._once.file(key, request, now) if self._once is not None and request.boots else "",
        )

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
        key = key_of(request)
        if self._exchanges is not None:
            self._exchanges.decided(machine.mac, request, decision)
        if decision.reason and not decision.routine:
            self._telling.refused(request, machine, decision)
        if decision.denied or decision.replies:
            setting = decision.setting or str(decision.origin or "")
            machine.refusal = Refusal(decision.reason, setting) if decision.denied else None
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
        if self._size_of is not None and decision.replies and 13 in request.parameters and facts.boot_file_size is None:
            decision = self._with_size(request, machine, facts, decision, self._size_of)
        if decision.claim is not None:
            self._write_down(request, machine, facts, decision, network, decision.claim)
            return
        self._tell_form(request, machine, facts, decision)
        if decision.offer:
            self.table.offer(key, decision.offer, facts.now)
        else:
            self._give_back(network, facts.candidate)
        self._reply(request, machine, decision, network)

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
                self._telling.settled(machine, claim.lease)
                self._reply(request, machine, decision, network)
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
            self.table.withdraw(key_of(request))
            self._lost(network, claim)
            taken = facts.taken | {address}
            facts = evolve(facts, lease=None, offered=0, candidate=0, owner=OTHER, taken=taken)
        else:
            facts = evolve(facts, candidate=0, writable=False)
            if claim.fresh:
                self._give_back(network, address)
        if request.kind not in (Kind.DECLINE, Kind.RELEASE):
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

    def _reply(self, request: Request, machine: Machine, decision: Decision, network: Network) -> None:
        quirk = quirk_of(request)
        for reply in decision.replies:
            destination = route(
                request,
                reply,
                broadcast=self.settings.broadcast_for(network, request.chaddr),
                never_broadcast=quirk.never_broadcast,
                server_port=self.settings.port,
            )
            data = encode(reply, request)
            self._transport.send(data, destination, network, request.port)
            if self._exchanges is not None:
                self._exchanges.replied(machine.mac, request, data)
            self._tell_reply(request, machine, reply, decision)
        if decision.next_boot and decision.replies and self._once is not None:
            reply = decision.replies[0]
            if self._once.told(key_of(request), request, reply.type, reply.boot_file, self._time()):
                self.log.info("{mac} boots {file}, this time only", mac=machine.mac, file=printable(reply.boot_file))
        if decision.replies and quirk.announce:
            self._transport.announce(network, request.chaddr)

    # telling

    def _tell_reply(self, request: Request, machine: Machine, reply: Reply, decision: Decision) -> None:
        if offers(request, reply):
            self._telling.offered(machine, reply)
            if request.firmware is Firmware.IPXE:
                self._history.told(key_of(request), reply.boot_file)
            if decision.claim is None:
                return
        lease = self.table.at(reply.yiaddr) if reply.yiaddr else None
        if lease is not None:
            self._telling.leased(request, machine, reply, lease)

    def _tell_form(self, request: Request, machine: Machine, facts: Facts, decision: Decision) -> None:
        """Firmware that ignored an answer is spoken to in another way: somebody may want to know which."""
        if facts.attempt and decision.replies and request.kind is Kind.DISCOVER:
            form = decision.replies[0].form
            if form != forms(request, self.settings.proxy, 0, quirk_of(request))[0].name:
                self.log.info("{mac} or its like ignored the usual answer; now: {form}", mac=machine.mac, form=form)
