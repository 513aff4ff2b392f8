"""
Wires everything: from a configuration to a tree of named services, and from one configuration to the next.

The only module that knows everybody.  C{bind} opens the sockets, while there are privileges and somebody to tell that
a port is taken; C{startService} begins to serve.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from pybootd.config import Config
from pybootd.content.resolver import Resolver
from pybootd.content.templates import Templates
from pybootd.content.urls import is_url
from pybootd.dhcp.preview import Difference
from pybootd.dhcpd import DhcpService
from pybootd.errors import EnvironmentProblem
from pybootd.http.connection import served
from pybootd.http.site import Admission, Site
from pybootd.http.tls import Certificate, secured
from pybootd.interfaces import INotifier
from pybootd.logs import LEVELS, together
from pybootd.net import descriptors
from pybootd.net.tcp import bind_tcp
from pybootd.net.udp import DatagramPort, bind_udp
from pybootd.notify.log import EventLog
from pybootd.shared import Shared
from pybootd.statusd import StatusService
from pybootd.tftp.protocol import Tftp
from pybootd.workers.lending import BlockLender, FileLender
from pybootd.workers.pool import Pool

BOOT_SERVER_PORT = 4011
"""PXE's second port (PXE 2.1, 2.2.3)."""

EVERYBODY = "255.255.255.255"


class Bindable(Protocol):
    """A service that has sockets to open first."""

    def bind(self) -> None:
        """@raise EnvironmentProblem: a socket cannot be had."""


Turn = Callable[[], None]
"""Turns a part of the server to another configuration, at once; it cannot fail."""


class BootServer(MultiService):
    """
    All of pybootd.

    @ivar shared: what its services have in common, under the configuration that is in force.
    """

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self.shared = shared
        self._bound = False

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.shared.config

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

    def prepare(self, config: Config) -> tuple[Turn, Sequence[Difference]]:
        """
        Get ready for another configuration, whose ports and stores are the same.

        Whatever can fail is done here, and changes nothing.

        @return: what turns all services to it, and which machines get another answer then.
        @raise EnvironmentProblem: this host cannot do it.
        """
        shared = Shared(config, self.shared.reactor, self.shared)
        tftp = _resolver(shared, config.tftpd.root) if config.tftp else None
        turns: list[Turn] = []
        changed: Sequence[Difference] = ()
        for service in self:
            if isinstance(service, Telling):
                turns.append(service.prepare(shared))
            elif isinstance(service, TftpService) and tftp is not None:
                turns.append(service.prepare(shared, tftp))
            elif isinstance(service, HttpService):
                turns.append(service.prepare(shared, _resolver(shared, config.http_root)))
            elif isinstance(service, StatusService):
                turns.append(service.prepare(shared))
            elif isinstance(service, DhcpService):
                turn, changed = service.prepare(shared, tftp)
                turns.append(turn)

        def all_at_once() -> None:
            self.shared = shared
            for turn in turns:
                turn()
            _allow_descriptors(config)

        return all_at_once, changed


def compose(config: Config, reactor: Any) -> BootServer:
    """
    Make the tree of services that a configuration asks for.

    @raise EnvironmentProblem: this host cannot do it.
    """
    shared = Shared(config, reactor)
    server = BootServer(shared)
    _allow_descriptors(config)
    parts: list[Service] = [Telling(shared)]
    tftp = _resolver(shared, config.tftpd.root) if config.tftp else None
    if config.dhcp:
        parts.append(DhcpService(shared, tftp))
    if tftp is not None:
        parts.append(TftpService(shared, tftp))
    if config.http_server:
        parts.append(HttpService(shared, _resolver(shared, config.http_root)))
    if config.status.enable:
        pools = [part.workers for part in parts if isinstance(part, TftpService | HttpService)]
        parts.append(StatusService(shared, lambda: [pool.census() for pool in pools]))
    for part in (*shared.attached, *parts):
        part.setServiceParent(server)
    return server


def _allow_descriptors(config: Config) -> None:
    """Whatever comes by HTTP, there is a descriptor left for a transfer; says so where the system forbids that."""
    limits = config.limits
    wanted = descriptors.RESERVE + config.tftp * limits.transfers + config.http_server * limits.connections
    wanted += config.status.enable * limits.status_connections
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
        self._log = _event_log(shared)
        self._notifiers = [self._log, *_notifiers(shared)]
        self._shared = shared
        self._leave = {notifier: shared.bus.subscribe(notifier.notify) for notifier in self._notifiers}

    def prepare(self, shared: Shared) -> Turn:
        """@raise EnvironmentProblem: as L{BootServer.prepare}."""
        same = _log_options(shared.config) == _log_options(self._shared.config)
        log = self._log if same else _event_log(shared)
        notifiers: list[INotifier] = [log, *_notifiers(shared)]

        def turn() -> None:
            self._shared, self._log = shared, log
            before, self._notifiers = self._notifiers, notifiers
            for notifier in before:
                if notifier not in notifiers:
                    self._leave.pop(notifier)()
                    notifier.close()
            for notifier in notifiers:
                if notifier not in before:
                    self._leave[notifier] = shared.bus.subscribe(notifier.notify)

        return turn

    def stopService(self) -> Deferred[Any]:
        """What is pending is told first, as far as that goes quickly."""
        super().stopService()
        return DeferredList([notifier.close() for notifier in self._notifiers])


def _log_options(config: Config) -> dict[str, Any]:
    return {
        "level": LEVELS["debug" if config.debug else config.logger.level],
        "lines_per_client": config.limits.log_lines,
        "clients": config.limits.machines,
        "waiting": config.limits.log_events,
    }


def _event_log(shared: Shared) -> EventLog:
    return EventLog(shared.reactor.callLater, shared.reactor.seconds, together=together, **_log_options(shared.config))


def _notifiers(shared: Shared) -> list[INotifier]:
    config = shared.config
    own = [name for name, wanted in (("udp", config.bootpd.notify), ("webhook", config.webhook.url)) if wanted]
    return shared.providers("pybootd.notifiers", *own)


class TftpService(Service):
    """
    TFTP on port 69.

    @ivar workers: who sends in place of this process.
    """

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
        self.workers = Pool("TFTP", shared.reactor)
        self._tftp.lender = BlockLender(self.workers)

    def bind(self) -> None:
        """The port of C{[tftpd]}."""
        config = self._shared.config
        sock = bind_udp(str(config.tftp_address), config.tftpd.port, str(config.origin("tftpd", "port")))
        self._tftp.main = sock
        self._port = DatagramPort(sock, self._tftp.received, self._shared.reactor)

    def prepare(self, shared: Shared, resolver: Resolver) -> Turn:
        """For another configuration, at the same port."""

        def turn() -> None:
            self._shared, self._resolver = shared, resolver
            self._tftp.configure(shared.config.tftpd, shared.config.limits, resolver)
            self.workers.resize(shared.config.tftpd.workers)

        return turn

    def startService(self) -> None:
        super().startService()
        if self._port is not None:
            self._port.start()
            self.log.info(
                "TFTP serves {root} on port {port}", root=self._resolver.root or "filters only", port=self._port.port
            )
            self.workers.start(self._shared.config.tftpd.workers)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self._tftp.stop()
        if self._port is not None:
            self._port.stop()
        return self.workers.stop()


class HttpService(Service):
    """
    HTTP on port 80.

    @ivar workers: as in L{TftpService}.
    """

    name = "http"
    log = Logger()

    def __init__(self, shared: Shared, resolver: Resolver) -> None:
        self._shared = shared
        self._resolver = resolver
        self._socket: socket.socket | None = None
        self._port: Any = None
        self.workers = Pool("HTTP", shared.reactor)
        self._certificate = _certificate(shared.config)
        self._site = Site(
            resolver,
            shared.machines,
            shared.bus,
            _admission(shared),
            shared.reactor,
            in_thread=shared.disks.run,
            limits=shared.config.limits,
            time=time.time,
        )
        self._site.lender = FileLender(self.workers)

    def prepare(self, shared: Shared, resolver: Resolver) -> Turn:
        """
        For another configuration, at the same port.

        @raise EnvironmentProblem: the certificate cannot be used.
        """
        certificate = _certificate(shared.config)

        def turn() -> None:
            self._shared, self._resolver = shared, resolver
            site = self._site
            site.resolver, site.admit, site.limits = resolver, _admission(shared), shared.config.limits
            if self._certificate is not None and certificate is not None:
                self._certificate.become(certificate)
            self.workers.resize(shared.config.httpd.workers)

        return turn

    def bind(self) -> None:
        """The port of C{[httpd]}."""
        config = self._shared.config
        self._socket = bind_tcp(str(config.http_address), config.httpd.port, str(config.origin("httpd", "port")))

    def startService(self) -> None:
        super().startService()
        shared = self._shared
        if self._socket is not None:
            factory: Any = self._site
            if self._certificate is not None:
                factory = secured(self._site, self._certificate, shared.reactor)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)  # each connection inherits it
            self._port = shared.reactor.adoptStreamPort(self._socket.fileno(), socket.AF_INET, factory)
            if self._certificate is None:
                served(self._port)
            self._socket.close()
            self._socket = None
            self.log.info(
                "{scheme} serves {root} on port {port}",
                scheme="HTTP" if self._certificate is None else "HTTPS",
                root=self._resolver.root or "filters only",
                port=self._port.getHost().port,
            )
            self.workers.start(shared.config.httpd.workers)

    def stopService(self) -> Any:
        super().stopService()
        stops = [self.workers.stop()]
        if self._port is not None:
            stops.append(self._port.stopListening())
        return DeferredList(stops)


def _certificate(config: Config) -> Certificate | None:
    httpd = config.httpd
    return Certificate(httpd.tls_certificate, httpd.tls_key) if httpd.tls_certificate and httpd.tls_key else None


def _admission(shared: Shared) -> Admission:
    return shared.admit if shared.config.httpd.check_ip else lambda address: None
