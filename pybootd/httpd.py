"""The service behind C{[httpd]}: HTTP or HTTPS at its port, and the processes that send in place of this one."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import DeferredList
from twisted.logger import Logger

from pybootd.config import Config
from pybootd.content.resolver import Resolver
from pybootd.http.connection import served
from pybootd.http.site import Admission, Site
from pybootd.net.tcp import bind_tcp
from pybootd.shared import Shared, Turn
from pybootd.workers.lending import FileLender
from pybootd.workers.pool import Pool

if TYPE_CHECKING:
    from pybootd.dhcp.preview import Difference
    from pybootd.http.tls import Certificate


class HttpService(Service):
    """
    HTTP on port 80.

    @ivar workers: as in L{pybootd.tftpd.TftpService}.
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

    def prepare(self, shared: Shared, tftp: Resolver | None) -> tuple[Turn, Sequence[Difference]]:
        """
        For another configuration, at the same port.

        @raise EnvironmentProblem: the certificate cannot be used, or the root is no directory.
        """
        certificate, resolver = _certificate(shared.config), shared.resolver(shared.config.http_root)

        def turn() -> None:
            self._shared, self._resolver = shared, resolver
            site = self._site
            site.resolver, site.admit, site.limits = resolver, _admission(shared), shared.config.limits
            if self._certificate is not None and certificate is not None:
                self._certificate.become(certificate)
            self.workers.resize(shared.config.httpd.workers)

        return turn, ()

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
                from pybootd.http.tls import secured

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
    if not (httpd.tls_certificate and httpd.tls_key):
        return None
    from pybootd.http.tls import Certificate

    return Certificate(httpd.tls_certificate, httpd.tls_key)


def _admission(shared: Shared) -> Admission:
    return shared.admit if shared.config.httpd.check_ip else lambda address: None
