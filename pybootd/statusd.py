"""The service behind C{[status]}: the dashboard, its API and metrics."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.logger import Logger

from pybootd.net.tcp import bind_tcp
from pybootd.shared import Shared, Turn
from pybootd.status.board import Board
from pybootd.workers.census import Crew

if TYPE_CHECKING:
    from pybootd.content.resolver import Resolver
    from pybootd.dhcp.preview import Difference


class StatusService(Service):
    """The dashboard, on a TCP port of its own."""

    name = "status"
    log = Logger()

    def __init__(self, shared: Shared, workers: Callable[[], Iterable[Crew]] = lambda: ()) -> None:
        """@param workers: the worker processes at this moment."""
        self._shared = shared
        self._socket: socket.socket | None = None
        self._port: Any = None
        self._board = Board(
            shared.config,
            shared.reactor,
            time.time,
            leases=lambda: self._shared.table or (),
            exchanges=lambda mac: self._shared.exchanges.of(mac) if self._shared.exchanges is not None else (),
            troubles=self._troubles,
            workers=workers,
        )
        for subscriber in self._board.subscribers:
            shared.bus.subscribe(subscriber)

    def _troubles(self) -> list[str]:
        waits = self._shared.config.dhcp and self._shared.table is None
        return ["the lease store is not open"] if waits else []

    def bind(self) -> None:
        """The port of C{[status]}."""
        config = self._shared.config
        self._socket = bind_tcp(str(config.status.address), config.status.port, str(config.origin("status", "port")))

    def startService(self) -> None:
        super().startService()
        if self._socket is not None:
            reactor = self._shared.reactor
            self._port = reactor.adoptStreamPort(self._socket.fileno(), socket.AF_INET, self._board.factory)
            self._socket.close()
            self._socket = None
            host = self._port.getHost()
            self.log.info("the dashboard is at http://{host}:{port}/", host=host.host, port=host.port)

    def prepare(self, shared: Shared, tftp: Resolver | None) -> tuple[Turn, Sequence[Difference]]:
        """For another configuration; address, port and token hold for as long as the server runs."""

        def turn() -> None:
            self._shared = shared
            self._board.configure(shared.config)

        return turn, ()

    def stopService(self) -> Any:
        super().stopService()
        self._board.stop()
        return self._port.stopListening() if self._port is not None else None
