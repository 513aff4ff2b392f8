"""
Wires everything: from a configuration to a tree of named services, and from one configuration to the next.

A service is loaded here, where the configuration asks for it, and a provider by its factory in L{pybootd.builtin}: a
daemon that serves no HTTP does without C{twisted.web}.  Nothing is loaded later, when a machine asks: privileges are
gone by then, with C{twistd --chroot} the modules too.

The only module that knows everybody.  C{bind} opens the sockets, while there are privileges and somebody to tell that
a port is taken; C{startService} begins to serve.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, DeferredList

from pybootd.config import Config
from pybootd.content.resolver import Resolver
from pybootd.interfaces import INotifier
from pybootd.logs import LEVELS, together
from pybootd.net import descriptors
from pybootd.notify.log import EventLog
from pybootd.shared import Shared, Turn

if TYPE_CHECKING:
    from pybootd.dhcp.preview import Difference
    from pybootd.httpd import HttpService
    from pybootd.tftpd import TftpService


class Bindable(Protocol):
    """A service that has sockets to open first."""

    def bind(self) -> None:
        """@raise EnvironmentProblem: a socket cannot be had."""


class Part(Protocol):
    """A service that follows the configuration while it runs."""

    def prepare(self, shared: Shared, tftp: Resolver | None) -> tuple[Turn, Sequence[Difference]]:
        """
        Get ready for another configuration, whose ports and stores are the same.

        @param tftp: who finds the files that TFTP serves then.
        @return: what turns to it, and which machines get another answer then.
        @raise EnvironmentProblem: this host cannot do it.
        """


class BootServer(MultiService):
    """
    All of pybootd.

    @ivar shared: what its services have in common, under the configuration that is in force.
    """

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self.shared = shared
        self._parts: list[Part] = []
        self._bound = False

    def add(self, service: Part) -> None:
        """One of pybootd's own services."""
        self._parts.append(service)
        cast(Service, service).setServiceParent(self)

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
        tftp = shared.resolver(config.tftpd.root) if config.tftp else None
        prepared = [part.prepare(shared, tftp) for part in self._parts]

        def all_at_once() -> None:
            self.shared = shared
            for turn, _ in prepared:
                turn()
            _allow_descriptors(config)

        return all_at_once, [difference for _, differences in prepared for difference in differences]


def compose(config: Config, reactor: Any) -> BootServer:
    """
    Make the tree of services that a configuration asks for.

    @raise EnvironmentProblem: this host cannot do it.
    """
    shared = Shared(config, reactor)
    server = BootServer(shared)
    _allow_descriptors(config)
    parts: list[Part] = [Telling(shared)]
    tftp = shared.resolver(config.tftpd.root) if config.tftp else None
    if config.dhcp:
        from pybootd.dhcpd import DhcpService

        parts.append(DhcpService(shared, tftp))
    senders: list[TftpService | HttpService] = []
    if tftp is not None:
        from pybootd.tftpd import TftpService

        senders.append(TftpService(shared, tftp))
    if config.http_server:
        from pybootd.httpd import HttpService

        senders.append(HttpService(shared, shared.resolver(config.http_root)))
    parts += senders
    if config.status.enable:
        from pybootd.statusd import StatusService

        parts.append(StatusService(shared, lambda: [sender.workers.census() for sender in senders]))
    for service in shared.attached:
        service.setServiceParent(server)
    for part in parts:
        server.add(part)
    return server


def _allow_descriptors(config: Config) -> None:
    """Whatever comes by HTTP, there is a descriptor left for a transfer; says so where the system forbids that."""
    limits = config.limits
    wanted = (
        descriptors.RESERVE
        + config.tftp * descriptors.TRANSFER * limits.transfers
        + config.http_server * limits.connections
    )
    wanted += config.status.enable * limits.status_connections
    allowed = descriptors.allow(wanted)
    if allowed < wanted:
        Shared.log.warn(
            "{allowed} open files are allowed, and [limits] transfers and connections may need {wanted}: raise the"
            " limit (LimitNOFILE=, ulimit -n), or lower them",
            allowed=allowed,
            wanted=wanted,
        )


class Telling(Service):
    """The subscribers of the event stream: log and notifications."""

    name = "events"

    def __init__(self, shared: Shared) -> None:
        self._log = _event_log(shared)
        self._notifiers = [self._log, *_notifiers(shared)]
        self._shared = shared
        self._leave = {notifier: shared.bus.subscribe(notifier.notify) for notifier in self._notifiers}

    def prepare(self, shared: Shared, tftp: Resolver | None) -> tuple[Turn, Sequence[Difference]]:
        """As L{Part.prepare} has it."""
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

        return turn, ()

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
