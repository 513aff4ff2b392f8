"""The status site of one server, put together: timeline, live stream, metrics, and the factory of its connections."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pybootd.config import Config
from pybootd.leases.lease import Lease
from pybootd.status.api import Sources
from pybootd.status.diagnosis import Where
from pybootd.status.feed import Feed
from pybootd.status.guard import Guard
from pybootd.status.metrics import metrics
from pybootd.status.site import site
from pybootd.status.timeline import Timeline
from pybootd.workers.census import Crew

MOST = 10_000
"""Machines, whatever C{[limits] machines} allows: each has up to some tens of kilobytes here."""


class Board:
    """
    Everything behind C{[status]}, without its socket.

    @ivar subscribers: who is to be told of every event.
    @ivar factory: of connections.
    """

    def __init__(
        self,
        config: Config,
        reactor: Any,
        time: Callable[[], float],
        *,
        leases: Callable[[], Iterable[Lease]] = lambda: (),
        exchanges: Callable[[str], Sequence[dict[str, object]]] = lambda mac: (),
        troubles: Callable[[], Sequence[str]] = lambda: (),
        workers: Callable[[], Iterable[Crew]] = lambda: (),
        names: Sequence[str] | None = None,
    ) -> None:
        """
        @param time: seconds since the epoch.
        @param leases: all leases at this moment; C{exchanges}: the packets and decisions of a machine; C{troubles}:
            what keeps this server from serving; C{workers}: the worker processes.
        @param names: this host's; None: they are found out.
        """
        self.timeline = Timeline(min(config.limits.machines, MOST))
        self.feed = Feed(self.timeline, reactor, time, lines_of(config))
        counted, tellers = metrics(
            {
                "machines": ("Machines that were heard of lately.", lambda: len(self.timeline)),
                "transfers_running": ("Transfers under way.", lambda: self.timeline.running),
                "leases": ("Leases that are known, ended ones too.", lambda: sum(1 for _ in leases())),
                "readers": ("Readers of the live stream.", lambda: len(self.feed)),
            },
            workers,
        )
        self.subscribers = (self.feed.notify, *tellers)
        guard = Guard(config.status.token, _own_names() if names is None else names)
        sources = Sources(leases, exchanges, troubles)
        limits = config.limits
        self.factory = site(self.feed, sources, guard, reactor, counted, limit=limits.status_connections)
        self.feed.limit = limits.status_readers

    def configure(self, config: Config) -> None:
        """Another configuration is in force: its lines are those to look at."""
        self.feed.where = lines_of(config)
        self.timeline.limit = min(config.limits.machines, MOST)
        self.factory.limit = config.limits.status_connections
        self.feed.limit = config.limits.status_readers

    def stop(self) -> None:
        """Readers of the live stream are sent away."""
        self.feed.stop()


def lines_of(config: Config) -> Where:
    """Where the options of a configuration stand; HTTP serves TFTP's root where it has none of its own."""

    def where(section: str, option: str) -> str:
        if (section, option) == ("httpd", "root") and not config.httpd.root:
            section = "tftpd"
        return str(config.origin(section, option))

    return where


def _own_names() -> Sequence[str]:
    name = socket.gethostname()
    return name, f"{name.partition('.')[0]}.local"
