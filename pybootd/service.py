"""
Wires everything: from a configuration to a tree of named services.

The only module that knows everybody.  C{bind} opens the sockets, while there are privileges and somebody to tell that
a port is taken; C{startService} begins to serve.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Protocol, cast

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybootd.access.together import AllAgree
from pybootd.config import Config
from pybootd.content.local import LocalFiles
from pybootd.content.resolver import Resolver
from pybootd.content.sizes import Sizes
from pybootd.content.templates import Templates
from pybootd.content.urls import is_url
from pybootd.dhcp.protocol import Dhcp
from pybootd.dhcp.rehearsal import pools_of
from pybootd.dhcp.settings import settings_from
from pybootd.dhcp.sharing import Sharing
from pybootd.errors import EnvironmentProblem, StoreError
from pybootd.events import Bus
from pybootd.http.site import Site
from pybootd.http.tls import Certificate, secured
from pybootd.interfaces import IAccessControl, ILeaseStore, INotifier
from pybootd.leases.commit import GroupCommit
from pybootd.leases.lease import Lease, State
from pybootd.leases.table import LeaseTable
from pybootd.logs import LEVELS
from pybootd.machine import Firmware, Machines, mac_text
from pybootd.net import descriptors
from pybootd.net.advertisement import Advertiser, advertiser
from pybootd.net.echo import Echo, echo
from pybootd.net.interfaces import interfaces, name_servers
from pybootd.net.neighbour import Neighbours, neighbours
from pybootd.net.tcp import bind_tcp
from pybootd.net.transport import DhcpTransport
from pybootd.net.udp import DatagramPort, bind_udp
from pybootd.notify.log import EventLog
from pybootd.registry import Context, chosen, provider
from pybootd.tftp.protocol import Tftp
from pybootd.throttle import Throttle

BOOT_SERVER_PORT = 4011
"""PXE's second port (PXE 2.1, 2.2.3)."""

EVERYBODY = "255.255.255.255"


class Bindable(Protocol):
    """A service that has sockets to open first."""

    def bind(self) -> None:
        """@raise EnvironmentProblem: a socket cannot be had."""


class BootServer(MultiService):
    """All of pybootd."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self._bound = False

    def bind(self) -> None:
        """
        Open every socket; once.

        @raise EnvironmentProblem: one cannot be had.
        """
        if not self._bound:
            self._bound = True
            for service in self:
                if hasattr(service, "bind"):
                    cast(Bindable, service).bind()

    def privilegedStartService(self) -> None:
        self.bind()
        super().privilegedStartService()


class Shared:
    """What the services have in common."""

    def __init__(self, config: Config, reactor: Any) -> None:
        self.config = config
        self.reactor = reactor
        self.machines = Machines(config.limits.machines)
        self.bus = Bus(report=lambda subscriber: self.log.failure("a subscriber of events failed"))
        self.files = LocalFiles(self.in_thread, reactor.callLater)
        self.attached: list[IService] = []
        """Services of the providers' own."""
        self._made: dict[tuple[str, str], Any] = {}

    log = Logger()

    def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Run a function in the reactor's pool of threads."""
        return deferToThreadPool(self.reactor, self.reactor.getThreadPool(), function, *arguments)

    def context(self, name: str) -> Context:
        """What a provider is made of."""
        options = self.config.plugin_options(name)
        return Context(name, self.config, options, self.reactor, self.in_thread, self.attached.append)

    def provider(self, group: str, name: str) -> Any:
        """
        Who fills a seam; the same one for all who ask.

        @raise EnvironmentProblem: it cannot be made.
        """
        if (group, name) not in self._made:
            self._made[group, name] = provider(group, name, self.context(name))
        return self._made[group, name]

    def providers(self, group: str, *own: str) -> list[Any]:
        """
        Pybootd's own providers, and those third parties' that the configuration has a section for.

        @raise EnvironmentProblem: one cannot be made.
        """
        return [self.provider(group, name) for name in (*own, *chosen(group, self.config))]

    def admit(self, address: IPv4Address | None) -> str | None:
        """C{check_ip}: only machines that were given their address here; says why not, or None."""
        if address is not None and self.machines.at(address) is not None:
            return None
        return f"{address} has no lease of this server, and check_ip is on"


def compose(config: Config, reactor: Any) -> BootServer:
    """
    Make the tree of services that a configuration asks for.

    @raise EnvironmentProblem: this host cannot do it.
    """
    server = BootServer(config)
    shared = Shared(config, reactor)
    _allow_descriptors(config)
    parts: list[Service] = [Telling(shared)]
    tftp = _resolver(shared, config.tftpd.root) if config.tftp else None
    if config.dhcp:
        parts.append(DhcpService(shared, tftp))
    if tftp is not None:
        parts.append(TftpService(shared, tftp))
    if config.http_server:
        parts.append(HttpService(shared, _resolver(shared, config.http_root)))
    for part in (*shared.attached, *parts):
        part.setServiceParent(server)
    return server


def _allow_descriptors(config: Config) -> None:
    """Whatever comes by HTTP, there is a descriptor left for a transfer; says so where the system forbids that."""
    limits = config.limits
    wanted = descriptors.RESERVE + config.tftp * limits.transfers + config.http_server * limits.connections
    allowed = descriptors.allow(wanted)
    if allowed < wanted:
        Shared.log.warn(
            "{allowed} open files are allowed, and [limits] transfers and connections may need {wanted}: raise the"
            " limit (LimitNOFILE=, ulimit -n), or lower them",
            allowed=allowed,
            wanted=wanted,
        )


def _resolver(shared: Shared, root: str) -> Resolver:
    config = shared.config
    if root and not is_url(root) and not Path(root).is_dir():
        section = "httpd" if root == config.httpd.root else "tftpd"
        raise EnvironmentProblem(
            f"{config.origin(section, 'root')} = {root}: no such directory; make it, or write another"
        )
    return Resolver(
        root,
        config.directory,
        shared.files,
        filters=shared.providers("pybootd.filters", "filters"),
        sources=shared.providers("pybootd.sources", "http"),
        templates=Templates(config.templates, config.directory) if config.templates else None,
        ignore_case=config.tftpd.ignore_case,
    )


class Telling(Service):
    """The subscribers of the event stream: log and notifications."""

    name = "events"

    def __init__(self, shared: Shared) -> None:
        config = shared.config
        own = [name for name, wanted in (("udp", config.bootpd.notify), ("webhook", config.webhook.url)) if wanted]
        log = EventLog(
            shared.reactor.callLater,
            shared.reactor.seconds,
            level=LEVELS["debug" if config.debug else config.logger.level],
            lines_per_client=config.limits.log_lines,
            clients=config.limits.machines,
            waiting=config.limits.log_events,
        )
        self._notifiers: list[INotifier] = [log, *shared.providers("pybootd.notifiers", *own)]
        for notifier in self._notifiers:
            shared.bus.subscribe(notifier.notify)

    def stopService(self) -> Deferred[Any]:
        """What is pending is told first, as far as that goes quickly."""
        super().stopService()
        return DeferredList([notifier.close() for notifier in self._notifiers])


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
        self._settings = settings_from(config, self._interfaces, name_servers())
        scheme = config.leases.store.partition(":")[0]
        self._store: ILeaseStore = shared.provider("pybootd.leases", scheme)
        self._access = _access(shared)
        self._ports: dict[int, DatagramPort] = {}
        self._broadcasts: DatagramPort | None = None
        self._neighbours: dict[int, Neighbours] = {}
        self._advertiser: Advertiser | None = None
        self._echo: Echo | None = None
        self._commit: GroupCommit | None = None
        self._dhcp: Dhcp | None = None

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
            self._ports[number] = DatagramPort(sock, self._receiver(number), self._shared.reactor)
        if own is None and not (bootpd.address.is_unspecified or bootpd.address.is_loopback):
            # a socket at one address hears nothing of what is sent to everybody
            sock = bind_udp(EVERYBODY, bootpd.port, what)
            if sock.fileno() != self._ports[bootpd.port].fileno():  # the one that systemd opened hears everything
                self._broadcasts = DatagramPort(sock, self._receiver(bootpd.port), self._shared.reactor)
        networks = self._settings.networks
        indexes = {network.interface for network in networks if network.interface}
        served = [one for one in self._interfaces if one.index in indexes]
        self._neighbours = neighbours(served, self._shared.reactor)
        if bootpd.conflict_check and any(network.pool_count and not network.interface for network in networks):
            self._echo = echo(self._shared.reactor)
        if bootpd.router_advertisement:
            self._advertiser = advertiser(served, self._is_ipxe, self._shared.reactor)

    def _is_ipxe(self, mac: str) -> bool:
        machine = self._shared.machines.get(mac)
        return machine is not None and machine.firmware is Firmware.IPXE

    def _receiver(self, port: int) -> Callable[[bytes, tuple[str, int], int, int], None]:
        def receive(data: bytes, source: tuple[str, int], destination: int, interface: int) -> None:
            if self._dhcp is not None:
                self._dhcp.received(data, source, destination, interface, port)

        return receive

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
        shared, config = self._shared, self._config
        table = LeaseTable(leases, config.limits.offers)
        self._remember(leases)
        slices: tuple[range, ...] | None = () if self._store.shared else None
        pools = pools_of(self._settings, table, config.bootpd.reclaim == "expired", slices)
        sharing = Sharing(self._store, table, pools, time.time) if self._store.shared else None
        self._commit = GroupCommit(self._store, shared.reactor.callLater, config.limits.claims)
        transport = DhcpTransport(
            self._ports,
            self._neighbours,
            config.bootpd.conflict_check,
            Throttle(shared.reactor.seconds),
            self._echo,
        )
        dhcp = self._dhcp = Dhcp(
            self._settings,
            table,
            pools,
            self._commit,
            transport,
            shared.machines,
            shared.bus,
            shared.reactor,
            access=self._access,
            access_timeout=config.access_timeout,
            questions=config.limits.questions,
            probes=config.limits.probes,
            sharing=sharing,
            conflict_check=config.bootpd.conflict_check > 0,
            size_of=self._sizes.size_of if self._sizes is not None else None,
            time=time.time,
        )
        for neighbour in self._neighbours.values():
            neighbour.start()
        for reader in filter(None, (self._advertiser, self._echo)):
            reader.start()
        for port in self._ports.values():
            port.start()
        if self._broadcasts is not None:
            self._broadcasts.start()
        begun: Deferred[Any] = sharing.begin() if sharing is not None else succeed(None)
        begun.addCallback(lambda _: dhcp.start())
        for network in self._settings.networks:
            self.log.info(
                "serving {network}: {mode}, as {server}",
                network=f"{IPv4Address(network.first)} to {IPv4Address(network.last)}",
                mode="proxy, another server gives the addresses" if self._settings.proxy else _pool_text(network),
                server=IPv4Address(network.server),
            )

    def _remember(self, leases: Sequence[Lease]) -> None:
        """Machines with a lease are known at once, to TFTP and HTTP too."""
        for lease in leases[-self._config.limits.machines :]:
            if lease.state is State.BOUND and lease.key:
                machine = self._shared.machines.see(mac_text(lease.key), 0.0)
                machine.booted = True
                machine.hostname = lease.hostname
                self._shared.machines.settle(machine, IPv4Address(lease.address))

    def stopService(self) -> Deferred[None]:
        super().stopService()
        for port in self._ports.values():
            port.stop()
        if self._broadcasts is not None:
            self._broadcasts.stop()
        for neighbour in self._neighbours.values():
            neighbour.stop()
        for reader in filter(None, (self._advertiser, self._echo)):
            reader.stop()
        drained = self._commit.drained() if self._commit is not None else succeed(None)
        return drained.addCallback(lambda _: self._store.close())


def _pool_text(network: Any) -> str:
    if not network.pool_count:
        return "fixed addresses only"
    last = network.pool_first + network.pool_count - 1
    return f"addresses {IPv4Address(network.pool_first)} to {IPv4Address(last)}"


def _access(shared: Shared) -> IAccessControl | None:
    backends = [shared.provider("pybootd.access", name) for name in shared.config.bootpd.access]
    if not backends:
        return None
    only: IAccessControl = backends[0] if len(backends) == 1 else AllAgree(backends)
    return only


class TftpService(Service):
    """TFTP on port 69."""

    name = "tftp"
    log = Logger()

    def __init__(self, shared: Shared, resolver: Resolver) -> None:
        self._shared = shared
        self._resolver = resolver
        config = shared.config
        self._tftp = Tftp(
            config.tftpd, config.limits, resolver, shared.machines, shared.bus, shared.reactor, time=time.time
        )
        self._port: DatagramPort | None = None

    def bind(self) -> None:
        """The port of C{[tftpd]}."""
        config = self._shared.config
        sock = bind_udp(str(config.tftp_address), config.tftpd.port, str(config.origin("tftpd", "port")))
        self._tftp.main = sock
        self._port = DatagramPort(sock, self._tftp.received, self._shared.reactor)

    def startService(self) -> None:
        super().startService()
        if self._port is not None:
            self._port.start()
            self.log.info(
                "TFTP serves {root} on port {port}", root=self._resolver.root or "filters only", port=self._port.port
            )

    def stopService(self) -> None:
        super().stopService()
        self._tftp.stop()
        if self._port is not None:
            self._port.stop()


class HttpService(Service):
    """HTTP on port 80."""

    name = "http"
    log = Logger()

    def __init__(self, shared: Shared, resolver: Resolver) -> None:
        self._shared = shared
        self._resolver = resolver
        self._socket: socket.socket | None = None
        self._port: Any = None
        httpd = shared.config.httpd
        self._certificate = (
            Certificate(httpd.tls_certificate, httpd.tls_key) if httpd.tls_certificate and httpd.tls_key else None
        )

    def bind(self) -> None:
        """The port of C{[httpd]}."""
        config = self._shared.config
        self._socket = bind_tcp(str(config.http_address), config.httpd.port, str(config.origin("httpd", "port")))

    def startService(self) -> None:
        super().startService()
        shared, config = self._shared, self._shared.config
        site = Site(
            self._resolver,
            shared.machines,
            shared.bus,
            shared.admit if config.httpd.check_ip else lambda address: None,
            shared.reactor,
            in_thread=shared.in_thread,
            limits=config.limits,
        )
        if self._socket is not None:
            factory: Any = site
            if self._certificate is not None:
                factory = secured(site, self._certificate, shared.reactor)
            self._port = shared.reactor.adoptStreamPort(self._socket.fileno(), socket.AF_INET, factory)
            self._socket.close()
            self._socket = None
            self.log.info(
                "{scheme} serves {root} on port {port}",
                scheme="HTTP" if self._certificate is None else "HTTPS",
                root=self._resolver.root or "filters only",
                port=self._port.getHost().port,
            )

    def stopService(self) -> Any:
        super().stopService()
        return self._port.stopListening() if self._port is not None else None
