"""DHCP as a service: its sockets, its lease store, and how both go on where the configuration or the host changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address
from itertools import islice
from socket import socket
from typing import Any

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybootd.access.lists import MacAccess, UuidAccess
from pybootd.access.together import AllAgree
from pybootd.content.resolver import Resolver
from pybootd.content.sizes import Sizes
from pybootd.dhcp.facts import ALLOWED
from pybootd.dhcp.pool import Pool
from pybootd.dhcp.preview import Difference, Known, Side, differences
from pybootd.dhcp.protocol import Dhcp
from pybootd.dhcp.recall import Recall
from pybootd.dhcp.rehearsal import pools_of
from pybootd.dhcp.settings import Network, Settings, unserved
from pybootd.dhcp.sharing import Sharing
from pybootd.errors import EnvironmentProblem, StoreError
from pybootd.here import settings_here
from pybootd.interfaces import IAccessControl, ILeaseRecords, ILeaseStore, Phase, Question, Verdict
from pybootd.leases.commit import GroupCommit
from pybootd.leases.lease import Claim, Lease, State
from pybootd.leases.table import REST_SECONDS, LeaseTable
from pybootd.machine import Firmware, Machine, mac_bytes
from pybootd.net.advertisement import Advertiser, advertiser
from pybootd.net.changes import Changes, changes
from pybootd.net.echo import Echo, echo
from pybootd.net.interfaces import Interface, interfaces
from pybootd.net.neighbour import Neighbours, neighbours
from pybootd.net.transport import DhcpTransport
from pybootd.net.udp import DatagramPort, bind_udp
from pybootd.orders import OrderBook, place_of
from pybootd.records import LeaseRecords, tells
from pybootd.shared import Shared, Turn
from pybootd.steady import Steady
from pybootd.throttle import Throttle

BOOT_SERVER_PORT = 4011
"""PXE's second port (PXE 2.1, 2.2.3)."""

EVERYBODY = "255.255.255.255"

LOOK = 5.0
"""Seconds between looks at the host's clock, and at what could not be looked at before."""

STEP = 5.0
"""Seconds by which it must differ to count as set."""

PREVIEWED = 500
"""Machines, the latest, whose answers are compared when the settings change: more would keep others waiting."""


class DhcpService(Service):
    """BOOTP, DHCP and PXE on ports 67 and 4011."""

    name = "dhcp"
    log = Logger()

    def __init__(self, shared: Shared, files: Resolver | None) -> None:
        """@param files: what TFTP serves here, if anything."""
        self._shared = shared
        self._sizes = Sizes(files, shared.reactor.seconds) if files is not None else None
        config = self._config = shared.config
        self._interfaces = interfaces()
        self._settings = settings_here(config, self._interfaces)
        scheme = config.leases.store.partition(":")[0]
        self._store: ILeaseStore = shared.provider("pybootd.leases", scheme)
        self._backends, self._access = _access(shared)
        self._ports: dict[int, DatagramPort] = {}
        self._broadcasts: DatagramPort | None = None
        self._neighbours: dict[int, Neighbours] = {}
        self._advertiser: Advertiser | None = None
        self._echo: Echo | None = None
        self._commit: GroupCommit | None = None
        self._sharing: Sharing | None = None
        self._recall: Recall | None = None
        self._transport: DhcpTransport | None = None
        self._pools: dict[int, Pool] = {}
        self._dhcp: Dhcp | None = None
        self._clock = Steady()
        self._watch = LoopingCall(self._look)
        self._watch.clock = shared.reactor
        self._changes: Changes | None = None
        self._files = files
        self._unserved = ""
        self._look_again = False

    def bind(self) -> None:
        """Ports 67 (as configured) and 4011, and raw sockets on each interface that is served."""
        bootpd = self._config.bootpd
        what = str(self._config.origin("bootpd", "port"))
        wanted = {bootpd.port: bootpd.port}
        if bootpd.port == 67 or self._settings.proxy:
            wanted[BOOT_SERVER_PORT] = BOOT_SERVER_PORT
        # a socket that is bound to an address hears no broadcasts: it is bound to that address's interface instead
        own = next((one for one in self._interfaces if one.has(bootpd.address)), None)
        address, device = (str(bootpd.address), "") if own is None else ("0.0.0.0", own.name)
        for number in wanted:
            sock = bind_udp(address, number, what, device)
            self._ports[number] = self._port(sock, number)
        if own is None and not (bootpd.address.is_unspecified or bootpd.address.is_loopback):
            # a socket at one address hears nothing of what is sent to everybody
            sock = bind_udp(EVERYBODY, bootpd.port, what)
            if sock.fileno() != self._ports[bootpd.port].fileno():  # the one that systemd opened hears everything
                self._broadcasts = self._port(sock, bootpd.port)
        served = self._served()
        self._neighbours = neighbours(served, self._shared.reactor)
        if self._needs_echo():
            self._echo = echo(self._shared.reactor)
        if bootpd.router_advertisement:
            self._advertiser = advertiser(served, self._is_ipxe, self._shared.reactor)

    def _served(self) -> list[Interface]:
        """The interfaces behind which there is a network of ours."""
        indexes = {network.interface for network in self._settings.networks if network.interface}
        return [one for one in self._interfaces if one.index in indexes]

    def _needs_echo(self) -> bool:
        relayed = any(network.pool_count and not network.interface for network in self._settings.networks)
        return bool(self._config.bootpd.conflict_check) and relayed

    def _is_ipxe(self, mac: str) -> bool:
        machine = self._shared.machines.get(mac)
        return machine is not None and machine.firmware is Firmware.IPXE

    def _port(self, sock: socket, port: int) -> DatagramPort:
        def receive(data: bytes, source: tuple[str, int], destination: int, interface: int) -> None:
            if self._dhcp is not None:
                self._dhcp.received(data, source, destination, interface, port)

        def answer() -> None:
            # OFFERs do not wait for the disk, as the leases of the same wake-up do
            if self._transport is not None:
                self._transport.flush()

        return DatagramPort(sock, receive, self._shared.reactor, answer)

    def startService(self) -> None:
        super().startService()
        opened: Deferred[Any] = self._store.open()
        opened.addCallback(self._serve)
        failed: list[Failure] = []
        opened.addErrback(failed.append)
        if failed:
            if failed[0].check(StoreError):
                raise EnvironmentProblem(f"{self._config.origin('leases', 'store')}: {failed[0].getErrorMessage()}")
            failed[0].raiseException()
        opened.addCallback(self._late, failed)

    def _late(self, _: object, failed: Sequence[Failure]) -> None:
        """A store at the other end of a network is opened while the daemon runs already."""
        for failure in failed:
            if self.running:
                self.log.failure("no machine gets an address", failure)

    def _serve(self, leases: Sequence[Lease]) -> None:
        """The store is open: answer from now on."""
        if not self.running:
            return  # a store at the other end of a network may be reached too late
        dhcp = self._dhcp = self._server(leases)
        if self._recall is not None:
            self._recall.start()
        for neighbour in self._neighbours.values():
            neighbour.start()
        for reader in filter(None, (self._advertiser, self._echo)):
            reader.start()
        for port in self._sockets():
            port.start()
        begun: Deferred[Any] = self._sharing.begin() if self._sharing is not None else succeed(None)
        begun.addCallback(lambda _: dhcp.start())
        self._watch.start(LOOK, now=False)
        self._changes = changes(self._look_at_interfaces, self._shared.reactor)
        if self._changes is not None:
            self._changes.start()
            self._look_at_interfaces()  # since they were looked at, much may have happened
        self._tell_networks()

    def _server(self, leases: Sequence[Lease]) -> Dhcp:
        """What answers, and what it keeps its leases in."""
        shared, config = self._shared, self._config
        self._clock.adopt()
        table = shared.table = LeaseTable(self._rested(leases), config.limits.offers)
        shared.machines.records = LeaseRecords(table, self._rename)
        pools = self._pools = self._make_pools(table)
        sharing = self._sharing = (
            Sharing(self._store, table, pools, self._clock.seconds) if self._store.shared else None
        )
        self._commit = GroupCommit(self._store, shared.reactor.callLater, config.limits.claims)
        transport = self._transport = DhcpTransport(
            self._ports,
            self._neighbours,
            config.bootpd.conflict_check,
            Throttle(shared.reactor.seconds),
            shared.reactor.callLater,
            self._echo,
        )
        if ILeaseRecords.providedBy(self._store):
            records, clock, now = ILeaseRecords(self._store), shared.reactor, self._clock.seconds
            self._recall = Recall(records, table, self._commit, self._note, shared.machines, shared.bus, clock, now)
        return Dhcp(
            self._settings,
            table,
            pools,
            self._commit,
            transport,
            shared.machines,
            shared.bus,
            shared.reactor,
            sharing=sharing,
            orders=OrderBook(place_of(config)),
            time=self._clock.seconds,
            exchanges=shared.exchanges,
            **self._options(),
        )

    def _note(self, lease: Lease) -> None:
        """A lease changed without a word from its machine."""
        for network in self._settings.networks:
            if network.first <= lease.address <= network.last and network.first in self._pools:
                self._pools[network.first].note(lease)

    def _rested(self, leases: Sequence[Lease]) -> Iterator[Lease]:
        """An address rests for an hour from now at most, whatever the clock was when it was laid to rest."""
        latest = self._clock.seconds() + REST_SECONDS
        for lease in leases:
            yield evolve(lease, expires=min(lease.expires, latest)) if lease.state is State.DECLINED else lease

    def _look(self) -> None:
        self._look_at_clock()
        if self._look_again:
            self._look_at_interfaces()

    def _look_at_interfaces(self) -> None:
        """An interface came, went, or has another address: serve as the configuration wants it there."""
        self._look_again = False
        try:
            if interfaces() == self._interfaces:
                self._unserved = ""
                return
            before = self._settings.networks
            turn, _ = self.prepare(self._shared, self._files)
        except OSError:
            self._look_again = True  # no descriptor to look with
            return
        except EnvironmentProblem as error:
            if str(error) != self._unserved:
                self._unserved = str(error)
                self.log.error("the interfaces changed: {problem}; until that is mended: as before", problem=error)
            return
        self._unserved = ""
        turn()
        if [_described(one) for one in before] != [_described(one) for one in self._settings.networks]:
            self.log.warn("the interfaces changed")
            self._tell_networks()

    def _look_at_clock(self) -> None:
        """The host's clock may have been set: leases and offers then end as many seconds from now as before."""
        step, dhcp, commit = self._clock.step, self._dhcp, self._commit
        if abs(step) < STEP or dhcp is None or commit is None:
            return
        self._clock.adopt()
        moved = dhcp.table.shift(step)
        self._pools = self._make_pools(dhcp.table)
        dhcp.configure(self._settings, self._pools, **self._options())
        dhcp.forget()
        if self._sharing is not None:
            self._sharing.change(self._pools)
        else:
            for lease in moved:
                commit.submit(Claim(lease, fresh=False), lambda outcome: None)
        dhcp.start()
        self.log.warn(
            "the clock was set {direction} by {seconds:.0f} s: leases end as many seconds from now as before",
            direction="forward" if step > 0 else "back",
            seconds=abs(step),
        )

    def _make_pools(self, table: LeaseTable) -> dict[int, Pool]:
        slices: tuple[range, ...] | None = () if self._store.shared else None
        return pools_of(self._settings, table, self._config.bootpd.reclaim == "expired", slices)

    def _options(self) -> dict[str, Any]:
        """What L{Dhcp} takes out of the configuration beside its settings."""
        config = self._config
        return {
            "access": self._access,
            "access_timeout": config.access_timeout,
            "questions": config.limits.questions,
            "probes": config.limits.probes,
            "conflict_check": config.bootpd.conflict_check > 0,
            "size_of": self._sizes.size_of if self._sizes is not None else None,
        }

    def _tell_networks(self) -> None:
        for problem in unserved(self._config, self._settings.networks, self._interfaces):
            self.log.warn("{problem}", problem=str(problem))
        for network in self._settings.networks:
            self.log.info(
                "serving {network}: {mode}, as {server}",
                network=f"{IPv4Address(network.first)} to {IPv4Address(network.last)}",
                mode="proxy, another server gives the addresses" if self._settings.proxy else _pool_text(network),
                server=IPv4Address(network.server),
            )

    # another configuration, or another host

    def prepare(self, shared: Shared, tftp: Resolver | None) -> tuple[Turn, Sequence[Difference]]:
        """
        Get ready for another configuration, or for the interfaces that there are by now.

        @param tftp: what TFTP serves then.
        @return: what turns to it, and which machines get another answer then.
        @raise EnvironmentProblem: this host cannot do it.
        """
        found = interfaces()
        settings = settings_here(shared.config, found)
        backends, access = _access(shared)
        same = backends == self._backends

        def turn() -> None:
            self._shared, self._config = shared, shared.config
            self._interfaces, self._settings = found, settings
            self._files = tftp
            self._sizes = Sizes(tftp, shared.reactor.seconds) if tftp is not None else None
            if not same:
                self._backends, self._access = backends, access
            self._turn_interfaces()
            if self._dhcp is not None:
                self._turn(self._dhcp)

        return turn, self._differences(settings, backends)

    def _differences(self, settings: Settings, backends: Sequence[IAccessControl]) -> Sequence[Difference]:
        if self._dhcp is None:
            return ()
        before, after = Side(self._settings, _lists(self._backends)), Side(settings, _lists(backends))
        return differences(before, after, self._known(self._dhcp.table), self._clock.seconds())

    def _known(self, table: LeaseTable) -> Iterator[Known]:
        """Those that were seen last, and then those with the latest leases."""
        seen = {mac_bytes(machine.mac): machine for machine in list(self._shared.machines)[-PREVIEWED:]}
        for mac, machine in seen.items():
            yield Known(mac, machine.architecture, machine.uuid, machine.booted, table.all_of(mac))
        unseen = (lease.key for lease in reversed(tuple(table)) if tells(lease) and lease.key not in seen)
        for mac in dict.fromkeys(islice(unseen, PREVIEWED - len(seen))):
            yield Known(mac, None, None, True, table.all_of(mac))

    def _turn(self, dhcp: Dhcp) -> None:
        """All at once: nothing here waits, and nothing may fail."""
        config, shared, table = self._config, self._shared, dhcp.table
        before = {pool.made_of: pool for pool in self._pools.values()}
        # a pool that would be made again of the same stays, with all that it knows
        made = self._make_pools(table)
        self._pools = {first: before.get(pool.made_of, pool) for first, pool in made.items()}
        if self._transport is not None:
            self._transport.turn(config.bootpd.conflict_check, self._echo)
        if self._commit is not None:
            self._commit.most = config.limits.claims
        table.limit = config.limits.offers
        shared.machines.limit = config.limits.machines
        dhcp.configure(self._settings, self._pools, **self._options())
        if self._sharing is not None:
            self._sharing.change(self._pools)
        for machine in shared.machines:
            self._rename(machine)
        dhcp.start()

    def _turn_interfaces(self) -> None:
        """Raw sockets on the interfaces that are served now; those that stay as they are keep theirs."""
        served, reactor = self._served(), self._shared.reactor
        now = {one.index: one for one in served}
        for index, neighbour in tuple(self._neighbours.items()):
            if index in now:
                neighbour.interface = now[index]  # whatever else changed: the socket is for the index
            else:
                self._neighbours.pop(index).stop()
        added = neighbours([one for one in served if one.index not in self._neighbours], reactor)
        self._neighbours.update(added)
        for neighbour in added.values():
            neighbour.start()
            if self._advertiser is not None:
                self._advertiser.join(neighbour.interface)
        if self._echo is None and self._needs_echo():
            self._echo = echo(reactor)
            if self._echo is not None:
                self._echo.start()

    def _rename(self, machine: Machine) -> None:
        """What the configuration says of a machine, which its files may need before it asks by DHCP again."""
        host = self._settings.host(mac_bytes(machine.mac))
        machine.variables = host.variables
        machine.hostname = host.hostname or machine.hostname

    def stopService(self) -> Deferred[None]:
        super().stopService()
        if self._watch.running:
            self._watch.stop()
        if self._changes is not None:
            self._changes.stop()
        for port in self._sockets():
            port.pause()
        for reader in filter(None, (self._advertiser, self._echo)):
            reader.stop()
        if self._recall is not None:
            self._recall.stop()
        drained = self._commit.drained() if self._commit is not None else succeed(None)
        return drained.addCallback(lambda _: self._close())

    def _close(self) -> Deferred[None]:
        """Whoever was promised a lease has heard of it."""
        if self._transport is not None:
            self._transport.end()
        for port in self._sockets():
            port.stop()
        for neighbour in self._neighbours.values():
            neighbour.stop()
        return self._store.close()

    def _sockets(self) -> list[DatagramPort]:
        return [*self._ports.values(), *filter(None, [self._broadcasts])]


def _described(network: Network) -> tuple[int, int, int, int, str]:
    """What of a network depends on the host."""
    return network.first, network.last, network.server, network.interface, network.interface_name


def _pool_text(network: Any) -> str:
    if not network.pool_count:
        return "fixed addresses only"
    last = network.pool_first + network.pool_count - 1
    return f"addresses {IPv4Address(network.pool_first)} to {IPv4Address(last)}"


def _access(shared: Shared) -> tuple[list[IAccessControl], IAccessControl | None]:
    """The backends, and who asks all of them."""
    backends = [shared.provider("pybootd.access", name) for name in shared.config.bootpd.access]
    if not backends:
        return [], None
    return backends, backends[0] if len(backends) == 1 else AllAgree(backends)


def _lists(backends: Sequence[IAccessControl]) -> Callable[[Known], Verdict]:
    """What those backends say that know without asking anybody; of the others a yes is assumed."""
    lists = [backend for backend in backends if isinstance(backend, MacAccess | UuidAccess)]

    def verdict(known: Known) -> Verdict:
        phase = Phase.BOOT if known.architecture is not None else Phase.SYSTEM
        uuid = known.uuid.bytes_le if known.uuid is not None else None
        question = Question(known.mac, uuid, phase, known.architecture, None)
        return next((said for one in lists if not (said := one.check(question)).allowed), ALLOWED)

    return verdict
