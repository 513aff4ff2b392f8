"""
What the services have in common: the machines, the events, the files, and the providers that a configuration asks for.

Each configuration has a L{Shared} of its own.  That of the next one takes over what lives as long as the server, and
the providers whose part of the configuration is as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from pybootd.config import Config
from pybootd.content.opening import ServedFiles
from pybootd.content.resolver import Resolver
from pybootd.content.templates import Templates
from pybootd.content.urls import is_url
from pybootd.dhcp.exchanges import Exchanges
from pybootd.errors import EnvironmentProblem
from pybootd.events import Bus
from pybootd.leases.table import LeaseTable
from pybootd.machine import Machines
from pybootd.registry import Context, chosen, provider, third_party
from pybootd.threads import Threads

Turn = Callable[[], None]
"""Turns a part of the server to another configuration, at once; it cannot fail."""

Key = tuple[str, str]
"""A provider's group and name."""

MADE_OF: Mapping[Key, Callable[[Config], object]] = {
    ("pybootd.access", "mac"): lambda config: (config.mac, config.static_dhcp),
    ("pybootd.access", "uuid"): lambda config: (config.uuid, config.static_dhcp, config.mac),
    ("pybootd.access", "http"): lambda config: (config.http, config.access_timeout),
    ("pybootd.filters", "filters"): lambda config: config.filters,
    ("pybootd.sources", "http"): lambda config: config.cache,
    ("pybootd.notifiers", "udp"): lambda config: config.bootpd.notify,
    ("pybootd.notifiers", "webhook"): lambda config: (config.webhook, config.limits.webhook_events),
}
"""What pybootd's own providers take out of the configuration: as long as that is the same, so are they."""


class Shared:
    """What the services have in common, under one configuration."""

    log = Logger()

    def __init__(self, config: Config, reactor: Any, before: Shared | None = None) -> None:
        """@param before: what served until now."""
        self.config = config
        self.reactor = reactor
        self.attached: list[IService] = []
        """Services of the providers' own."""
        self._made: dict[Key, Any] = {}
        self._serving: set[Key] = set()
        self._begun = before is not None
        if before is None:
            self.machines = Machines(config.limits.machines)
            self.bus = Bus(report=lambda subscriber: self.log.failure("a subscriber of events failed"))
            self.disks = Threads(reactor)
            """Where disks are waited for."""
            self.files = ServedFiles(self.disks.run, reactor.callLater)
            self.exchanges = Exchanges() if config.status.enable else None
            """Packets and traces of decisions, where somebody can look at them."""
            self.table: LeaseTable | None = None
            """The leases, once their store is open."""
        else:
            self.machines, self.bus = before.machines, before.bus
            self.disks, self.files = before.disks, before.files
            self.exchanges, self.table = before.exchanges, before.table
            self._made = {key: made for key, made in before._made.items() if self._stays(key, before)}
            self._serving = before._serving & self._made.keys()

    def _stays(self, key: Key, before: Shared) -> bool:
        """Whether a provider is as good as a new one would be."""
        group, name = key
        if group == "pybootd.leases":
            return True  # [leases] holds for as long as the server runs
        if name in third_party(group):
            # it may look at all of the configuration, so it is made anew; one with a service of its own cannot be
            same = before.config.plugins.get(name.lower()) == self.config.plugins.get(name.lower())
            return same and key in before._serving
        made_of = MADE_OF.get(key)
        return made_of is not None and made_of(before.config) == made_of(self.config)

    def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Run a function in the reactor's pool of threads."""
        return deferToThreadPool(self.reactor, self.reactor.getThreadPool(), function, *arguments)

    def provider(self, group: str, name: str) -> Any:
        """
        Who fills a seam; the same one for all who ask.

        @raise EnvironmentProblem: it cannot be made.
        """
        key = (group, name)
        if key not in self._made:
            options = self.config.plugin_options(name)

            def attach(service: IService) -> None:
                self._attach(key, service)

            # sources wait for disks, and no lease is to wait with them
            in_thread = self.disks.run if group == "pybootd.sources" else self.in_thread
            context = Context(name, self.config, options, self.reactor, in_thread, attach)
            self._made[key] = provider(group, name, context)
        return self._made[key]

    def _attach(self, key: Key, service: IService) -> None:
        if self._begun:
            raise EnvironmentProblem(
                f"{self.config.origin(key[1].lower())}: {key[1]} has a service of its own, which needs a restart"
            )
        self._serving.add(key)
        self.attached.append(service)

    def providers(self, group: str, *own: str) -> list[Any]:
        """
        Pybootd's own providers, and those third parties' that the configuration has a section for.

        @raise EnvironmentProblem: one cannot be made.
        """
        return [self.provider(group, name) for name in (*own, *chosen(group, self.config))]

    def resolver(self, root: str) -> Resolver:
        """
        Who finds the files below a root, of TFTP or HTTP.

        @raise EnvironmentProblem: it is no directory here.
        """
        config = self.config
        if root and not is_url(root) and not Path(root).is_dir():
            section = "httpd" if root == config.httpd.root else "tftpd"
            raise EnvironmentProblem(
                f"{config.origin(section, 'root')} = {root}: no such directory; make it, or write another"
            )
        return Resolver(
            root,
            config.directory,
            self.files,
            filters=self.providers("pybootd.filters", "filters"),
            sources=self.providers("pybootd.sources", *(("http",) if self._remote(root) else ())),
            templates=Templates(config.templates, config.directory) if config.templates else None,
            ignore_case=config.tftpd.ignore_case,
        )

    def _remote(self, root: str) -> bool:
        """Whether URLs may have to be fetched: a root may be one, and filters name others."""
        config = self.config
        filtered = bool(config.filters) or bool(chosen("pybootd.filters", config))
        return is_url(root) or filtered or config.cache.directory is not None

    def admit(self, address: IPv4Address | None) -> str | None:
        """C{check_ip}: only machines that were given their address here; says why not, or None."""
        if address is not None and self.machines.at(address) is not None:
            return None
        return f"{address} has no lease of this server, and check_ip is on"
