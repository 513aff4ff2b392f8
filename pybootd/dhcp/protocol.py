"""
DHCP at work: datagrams in, facts gathered, a decision carried out, datagrams out.

What has to be waited for stands here and nowhere else in this room: the access backends' verdict, the probe of an
address, the lease store's commit.  Nothing leaves before the lease that it promises is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from typing import Any, Protocol
from uuid import UUID

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybootd.dhcp.client import understand
from pybootd.dhcp.decision import Decision, MessageType, Reply
from pybootd.dhcp.delivery import Destination, route
from pybootd.dhcp.facts import ALLOWED, Facts
from pybootd.dhcp.packet import decode, encode
from pybootd.dhcp.policy import decide, key_of, network_of, spoken_of
from pybootd.dhcp.pool import Pool
from pybootd.dhcp.quirks import quirk_of
from pybootd.dhcp.request import Kind, Request
from pybootd.dhcp.settings import Network, Settings
from pybootd.errors import AccessUnavailable, MalformedPacket
from pybootd.events import Bus, Conflict, Declined, Ignored, Leased, Offered, Refused, Released, Seen
from pybootd.interfaces import IAccessControl, Phase, Question, Verdict
from pybootd.leases.commit import GroupCommit, Outcome
from pybootd.leases.lease import Claim, Lease, State
from pybootd.leases.table import REST_SECONDS, LeaseTable
from pybootd.machine import Firmware, Machine, Machines, Stage, mac_text
from pybootd.throttle import Throttle

PROBED_AHEAD = 4
"""Addresses that were found free before anybody asked, so that not even a new machine waits."""

PROBE_HOLDS = 300.0
"""Seconds: an address probed longer ago is probed again."""


class Transport(Protocol):
    """What carries replies: sockets in the daemon, a list in tests."""

    def send(self, data: bytes, destination: Destination, network: Network, port: int) -> None:
        """Send a datagram from this server's C{port}; never raises."""

    def announce(self, network: Network, chaddr: bytes) -> None:
        """One ARP frame to a client that needs it."""

    def probe(self, network: Network, address: int) -> Deferred[bool] | None:
        """Does anybody have this address?  None where that cannot be asked."""


OTHER = b"?"
"""Stands for a machine that only the store knows: no hardware address is so short."""


@frozen
class Probed:
    """An address that nobody answered at."""

    address: int
    when: float


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
        conflict_check: bool = True,
        size_of: Callable[[str, Machine], int | None] = lambda name, machine: None,
        time: Callable[[], float] | None = None,
    ) -> None:
        """
        @param pools: by the first address of their network.
        @param clock: for timers; C{time} (seconds since the epoch) comes from it if not given.
        @param questions: how many machines the access backends may be asked about at once.
        @param size_of: the size of a boot file, where it is known at once (option 13).
        """
        self.settings = settings
        self._interface_names = {network.interface: network.interface_name for network in settings.networks}
        self.table = table
        self._pools = pools
        self._commit = commit
        self._transport = transport
        self._machines = machines
        self._bus = bus
        self._clock = clock
        self._time = time or clock.seconds
        self._access = access
        self._access_timeout = access_timeout
        self._questions = questions
        self._conflict_check = conflict_check
        self._size_of = size_of
        self._asking: dict[bytes, Request] = {}
        self._phases: dict[str, Phase] = {}
        self._probed: dict[int, list[Probed]] = {}
        self._probing: set[int] = set()
        self._malformed = Throttle(clock.seconds)

    # in

    def received(
        self, data: bytes, source: tuple[str, int], destination: int = 0, interface: int = 0, port: int = 67
    ) -> None:
        """A datagram arrived at one of this server's ports.  Never raises for what it holds."""
        own = any(network.server == destination for network in self.settings.networks)
        try:
            request = understand(decode(data), source, port, interface, own)
        except MalformedPacket as error:
            if self._malformed.admits(source[0]):
                self.log.warn("a datagram from {source} is no request: {reason}", source=source[0], reason=str(error))
            return
        if not request.giaddr and network_of(request, self.settings) is None:
            return  # from an interface that is not served: somebody else's business, or an echo of what came by another
        machine = self._see(request)
        if self._access is None or request.kind in (Kind.DECLINE, Kind.RELEASE):
            self._answer(request, machine, ALLOWED)
        else:
            self._ask(request, machine, self._access)

    def _see(self, request: Request) -> Machine:
        """What the request says of its machine, remembered and told."""
        now = self._time()
        machine = self._machines.see(mac_text(key_of(request)), now)
        if request.boots:
            machine.booted = True
        machine.firmware = request.firmware if request.boots else Firmware.SYSTEM
        if request.architectures:
            machine.architecture = request.architecture
        if request.uuid:
            machine.uuid = UUID(bytes_le=request.uuid)
        if request.hostname and not machine.hostname:
            machine.hostname = request.hostname
        host = self.settings.host(key_of(request))
        machine.hostname = host.hostname or machine.hostname
        machine.variables = host.variables
        if self.settings.proxy and machine.booted and spoken_of(request):
            # another server gave it: the only way to know a machine again when it fetches its files
            self._machines.settle(machine, IPv4Address(spoken_of(request)))
        self._bus.publish(
            Seen(
                now, machine.mac, machine.address, request.kind.value, machine.firmware, request.architecture,
                machine.uuid, self._interface_names.get(request.interface, ""),
            )
        )  # fmt: skip
        return machine

    # the access backends' word

    def _ask(self, request: Request, machine: Machine, access: IAccessControl) -> None:
        key = key_of(request)
        if key in self._asking:
            self._asking[key] = request  # the newest question is the one to answer
            return
        if len(self._asking) >= self._questions:
            self._answer(request, machine, Verdict(False, "too many machines are being asked about; it may try again"))
            return
        phase = Phase.BOOT if request.boots else Phase.SYSTEM
        question = Question(
            mac=key,
            uuid=request.uuid or self._known_uuid(request),
            phase=phase,
            architecture=request.architecture,
            address=machine.address,
            stage_changed=self._phases.get(machine.mac) is not phase,
        )
        try:
            verdict = access.check(question)
        except AccessUnavailable as error:
            verdict = Verdict(False, str(error))
        if isinstance(verdict, Deferred):
            self._asking[key] = request
            verdict.addTimeout(self._access_timeout, self._clock)
            verdict.addErrback(self._unavailable)
            verdict.addCallback(lambda verdict: self._answer(self._asking.pop(key), machine, verdict, phase))
            verdict.addErrback(lambda failure: self.log.failure("cannot answer {mac}", failure, mac=machine.mac))
        else:
            self._answer(request, machine, verdict, phase)

    def _unavailable(self, failure: Failure) -> Verdict:
        if not failure.check(AccessUnavailable):
            self.log.warn("the access backend failed: {error}", error=failure.getErrorMessage())
        return Verdict(False, f"no verdict about it could be had: {failure.getErrorMessage() or 'no answer in time'}")

    def _known_uuid(self, request: Request) -> bytes | None:
        """The UUID that the boot phase told, for an operating system does not repeat it."""
        machine = self._machines.get(mac_text(key_of(request)))
        if machine is not None and machine.uuid is not None:
            return machine.uuid.bytes_le
        network = network_of(request, self.settings)
        lease = self.table.of(key_of(request), network.first, network.last) if network is not None else None
        return lease.uuid or None if lease is not None else None

    # the decision

    def _answer(self, request: Request, machine: Machine, verdict: Verdict, phase: Phase | None = None) -> None:
        if phase is not None and verdict.allowed:
            self._remember(machine, phase)
        key = key_of(request)
        if self.table.pending(key):
            return  # its first REQUEST is being written down; the answer to that one is on its way
        network = network_of(request, self.settings)
        facts = Facts(now=self._time(), verdict=verdict, booted=machine.booted, writable=not self._commit.failing)
        if network is not None:
            facts = evolve(
                facts,
                lease=self.table.of(key, network.first, network.last),
                offered=self.table.offered(key, facts.now),
                owner=self.table.owner(spoken_of(request), facts.now),
            )
        if verdict.boot_file:
            machine.boot_file = verdict.boot_file
        decision = decide(request, self.settings, facts)
        if decision.wants_address and network is not None:
            self._find_address(request, machine, facts, decision, network)
        else:
            self._carry_out(request, machine, facts, decision, network)

    def _remember(self, machine: Machine, phase: Phase) -> None:
        if len(self._phases) > 2 * len(self._machines) + 1000:
            self._phases = {mac: phase for mac, phase in self._phases.items() if self._machines.get(mac) is not None}
        self._phases[machine.mac] = phase

    def _find_address(
        self, request: Request, machine: Machine, facts: Facts, refusal: Decision, network: Network
    ) -> None:
        """A new machine: it gets an address that nobody answers at."""
        pool = self._pools.get(network.first)
        address = self._probed_address(network, facts.now)
        if address:
            self._propose(request, machine, facts, network, address)
            self._probe_ahead(network)
            return
        address = pool.take(facts.now) if pool is not None else 0
        if not address:
            self._carry_out(request, machine, facts, refusal, network)
            return
        probe = self._transport.probe(network, address) if self._conflict_check else None
        if probe is None:
            self._propose(request, machine, facts, network, address)
            return
        key = key_of(request)
        self.table.offer(key, address, facts.now)  # held while it is probed, so that nobody else gets it

        def probed(taken: bool) -> None:
            if taken:
                self.table.withdraw(key)
                self._conflict(network, address)
                self._find_address(request, machine, evolve(facts, now=self._time()), refusal, network)
            else:
                self._propose(request, machine, facts, network, address)
                self._probe_ahead(network)

        probe.addCallback(probed)
        probe.addErrback(lambda failure: self.log.failure("cannot answer {mac}", failure, mac=machine.mac))

    def _propose(self, request: Request, machine: Machine, facts: Facts, network: Network, address: int) -> None:
        facts = evolve(facts, candidate=address, offered=0)
        self._carry_out(request, machine, facts, decide(request, self.settings, facts), network)

    def _probed_address(self, network: Network, now: float) -> int:
        """An address that was probed lately and is free still."""
        pool, ready = self._pools.get(network.first), self._probed.get(network.first, [])
        while ready:
            first = ready.pop(0)
            if first.when + PROBE_HOLDS > now and pool is not None and pool.free(first.address, now):
                return first.address
            self._give_back(network, first.address)
        return 0

    def _probe_ahead(self, network: Network) -> None:
        """Probe the next few free addresses before somebody waits for one."""
        pool, ready = self._pools.get(network.first), self._probed.setdefault(network.first, [])
        if pool is None or len(ready) >= PROBED_AHEAD or network.first in self._probing:
            return
        address = pool.take(self._time(), PROBE_HOLDS)
        probe = self._transport.probe(network, address) if address else None
        if probe is None:
            if address:
                pool.give_back(address)
            return
        self._probing.add(network.first)

        def probed(taken: bool) -> None:
            self._probing.discard(network.first)
            if taken:
                self._conflict(network, address)
            else:
                ready.append(Probed(address, self._time()))
            self._probe_ahead(network)

        probe.addCallback(probed)
        probe.addErrback(lambda failure: self.log.failure("cannot probe ahead", failure))

    def _give_back(self, network: Network, address: int) -> None:
        pool = self._pools.get(network.first)
        if pool is not None:
            pool.give_back(address)

    def _conflict(self, network: Network, address: int) -> None:
        """Somebody answered at an address of the pool: it rests, and stays resting after a restart."""
        now = self._time()
        rest = Lease(address, b"", State.DECLINED, now + REST_SECONDS)
        self.table.record(rest)
        self._commit.submit(Claim(rest, fresh=False), lambda outcome: None)
        pool = self._pools.get(network.first)
        if pool is not None:
            pool.note(rest)
        self._bus.publish(Conflict(now, "", IPv4Address(address)))

    # what was decided

    def _carry_out(
        self, request: Request, machine: Machine, facts: Facts, decision: Decision, network: Network | None
    ) -> None:
        key = key_of(request)
        if decision.release:
            address = self.table.withdraw(key)
            if address and network is not None and decision.claim is None:
                self._give_back(network, address)
        if decision.reason:
            self._tell_refusal(request, machine, decision)
        if network is None:
            return
        if decision.replies and 13 in request.parameters and facts.boot_file_size is None:
            decision = self._with_size(request, machine, facts, decision)
        if decision.claim is not None:
            self._write_down(request, machine, facts, decision, network, decision.claim)
            return
        if decision.offer:
            self.table.offer(key, decision.offer, facts.now)
        elif facts.candidate:
            self._give_back(network, facts.candidate)
        self._reply(request, machine, decision, network)

    def _with_size(self, request: Request, machine: Machine, facts: Facts, decision: Decision) -> Decision:
        name = decision.replies[0].boot_file
        size = self._size_of(name, machine) if name and "://" not in name else None
        if size is None:
            return decision
        return decide(request, self.settings, evolve(facts, boot_file_size=size))

    def _write_down(
        self, request: Request, machine: Machine, facts: Facts, decision: Decision, network: Network, claim: Claim
    ) -> None:
        self.table.begin(claim.lease)

        def done(outcome: Outcome) -> None:
            # what was declined rests, if only in memory
            counts = outcome is Outcome.DURABLE or claim.lease.state is State.DECLINED
            self.table.settle(claim.lease, counts)
            pool = self._pools.get(network.first)
            if counts and pool is not None:
                pool.note(claim.lease)
            if outcome is Outcome.DURABLE:
                self._settled(request, machine, claim.lease)
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
            self.table.forget(address)
            facts = evolve(facts, lease=None, offered=0, candidate=0, owner=OTHER)
        else:
            facts = evolve(facts, candidate=0, writable=False)
            if claim.fresh:
                self._give_back(network, address)
        if request.kind not in (Kind.DECLINE, Kind.RELEASE):
            self._carry_out(request, machine, facts, decide(request, self.settings, facts), network)

    def _settled(self, request: Request, machine: Machine, lease: Lease) -> None:
        """A lease is durable: the machine has its address, or has it no longer."""
        address = IPv4Address(lease.address)
        if lease.state is State.BOUND:
            self._machines.settle(machine, address)
            return
        now = self._time()
        if machine.address == address:
            self._machines.settle(machine, None)
        if lease.state is State.RELEASED:
            self._bus.publish(Released(now, machine.mac, address, machine.uuid))
        else:
            self._bus.publish(Declined(now, machine.mac, address))

    def _reply(self, request: Request, machine: Machine, decision: Decision, network: Network) -> None:
        quirk = quirk_of(request)
        for reply in decision.replies:
            destination = route(
                request,
                reply,
                network_broadcast=self.settings.broadcast_for(network, request.chaddr),
                never_broadcast=quirk.never_broadcast,
                server_port=self.settings.port,
            )
            self._transport.send(encode(reply, request), destination, network, request.port)
            self._tell_reply(request, machine, reply)
        if decision.replies and quirk.announce:
            self._transport.announce(network, request.chaddr)

    # telling

    def _tell_reply(self, request: Request, machine: Machine, reply: Reply) -> None:
        now = self._time()
        address = IPv4Address(reply.yiaddr) if reply.yiaddr else None
        if reply.type is MessageType.OFFER:
            machine.stage = Stage.OFFERED
            self._bus.publish(Offered(now, machine.mac, address, reply.boot_file))
        elif address is not None and (lease := self.table.at(reply.yiaddr)) is not None:
            self._machines.settle(machine, address)
            machine.stage = Stage.LOADING if request.boots else Stage.RUNNING
            self._bus.publish(
                Leased(
                    now, machine.mac, address, machine.uuid, request.boots, reply.boot_file, machine.hostname,
                    lease.expires,
                )
            )  # fmt: skip

    def _tell_refusal(self, request: Request, machine: Machine, decision: Decision) -> None:
        kind = Refused if decision.replies else Ignored
        machine.stage = Stage.REFUSED
        setting = str(decision.origin) if decision.origin is not None else ""
        self._bus.publish(
            kind(self._time(), machine.mac, machine.address, request.kind.value, decision.reason, setting)
        )
