"""The service behind C{[tftpd]}: TFTP at its port, and the processes that send in place of this one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybootd.content.resolver import Resolver
from pybootd.net.udp import DatagramPort, bind_udp
from pybootd.shared import Shared, Turn
from pybootd.tftp.protocol import Tftp
from pybootd.workers.lending import BlockLender
from pybootd.workers.pool import Pool

if TYPE_CHECKING:
    from pybootd.dhcp.preview import Difference


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

    def prepare(self, shared: Shared, tftp: Resolver | None) -> tuple[Turn, Sequence[Difference]]:
        """For another configuration, at the same port; TFTP is still wanted there."""
        resolver = self._resolver if tftp is None else tftp

        def turn() -> None:
            self._shared, self._resolver = shared, resolver
            self._tftp.configure(shared.config.tftpd, shared.config.limits, resolver)
            self.workers.resize(shared.config.tftpd.workers)

        return turn, ()

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
