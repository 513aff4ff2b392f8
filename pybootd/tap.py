"""
C{twistd pybootd}: options, then configuration, then the tree of services.

Everything that a person can have got wrong is found here, before twistd goes to the background: one clear message on
standard error and exit status 1, no traceback.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.application.service import IService, IServiceCollection, MultiService
from twisted.logger import ILogObserver

from pybootd import logs
from pybootd.config import Config, LoggerConfig
from pybootd.config.loading import load
from pybootd.errors import PybootdError
from pybootd.flags import ServiceOptions
from pybootd.foreground import reopen_on_signal
from pybootd.garbage import searched_rarely
from pybootd.reload import Reload, on_signal
from pybootd.service import BootServer, compose
from pybootd.steady import steady


class Options(ServiceOptions):
    """The flags of C{twistd pybootd}; twistd's own (C{--uid}, C{--pidfile}, C{--rundir}...) come before the word."""

    synopsis = "[options]"
    longdesc = "Boots computers over the network: BOOTP, DHCP and PXE, TFTP and HTTP."
    parent: Any

    def postOptions(self) -> None:
        """Read the configuration, so that its mistakes end twistd before anything has begun."""
        super().postOptions()
        flags, directory = self.flags(), self.directory
        # a daemon leaves the directory in which the names on its command line are meant
        absolute = attrs.evolve(flags, config=flags.config.absolute())
        self["read"] = lambda: load(absolute, directory)
        try:
            self["configuration"] = load(flags, directory)
        except PybootdError as error:
            raise SystemExit(str(error)) from None

    @property
    def directory(self) -> Path:
        """The daemon's directory: twistd's C{--rundir}, as it will be once the daemon runs."""
        return Path(self.parent["rundir"] if self.parent is not None else ".").absolute()


class Daemon(MultiService):
    """The server under twistd: it also says where log lines go, and how a failure to start is told."""

    def __init__(self, server: BootServer, options: Options) -> None:
        super().__init__()
        self.name = "pybootd"
        self._options = options
        self._observer = _observer(options)
        self._server = server
        self._reload = Reload(server, options["read"], self._observer)
        server.setServiceParent(self)

    def setServiceParent(self, parent: IServiceCollection) -> None:
        """twistd asks the application for its observer, unless its own options name one."""
        super().setServiceParent(parent)
        if self._observer is not None:
            parent.setComponent(ILogObserver, self._observer)  # type: ignore[attr-defined]

    def privilegedStartService(self) -> None:
        from twisted.internet import reactor

        # before anybody can see that the server is there: a signal that comes early is not the end of it
        if self._observer is not None:
            reopen_on_signal(self._observer, reactor)
        on_signal(self._reload, reactor)
        super().privilegedStartService()

    def startService(self) -> None:
        try:
            with searched_rarely():
                super().startService()
            self._reload.started()
        except PybootdError as error:
            if self._options.parent["nodaemon"]:
                raise SystemExit(str(error)) from None
            raise  # the parent process, which waits for news, prints the message


def _observer(options: Options) -> DaemonLines | None:
    """C{[logger]}, unless twistd's own C{--logfile}, C{--syslog} or C{--logger} say otherwise."""
    parent, config = options.parent, options["configuration"]
    if parent["logfile"] or parent["syslog"] or parent["logger"]:
        return None
    return DaemonLines(config.logger, config.debug, None if parent["nodaemon"] else options.directory / "twistd.log")


class DaemonLines(logs.Lines):
    """A daemon has no standard error: lines for it go where twistd would put them."""

    def __init__(self, config: LoggerConfig, debug: bool, file: Path | None) -> None:
        """@param file: None: it is no daemon, and has one."""
        self._instead = file
        super().__init__(self._meant(config), debug)

    def prepare(self, config: LoggerConfig) -> Callable[[], None]:
        return super().prepare(self._meant(config))

    def _meant(self, config: LoggerConfig) -> LoggerConfig:
        if self._instead is None or config.type not in ("stderr", "stdout"):
            return config
        return attrs.evolve(config, type="file", file=self._instead)


def makeService(options: Options) -> IService:
    """
    The tree of services, its sockets bound.

    twistd makes services before it forks and drops its privileges: a port that is taken is found while there is still
    somebody to tell.
    """
    from twisted.internet import reactor

    steady(reactor)
    config: Config = options["configuration"]
    try:
        server = compose(config, reactor)
        server.bind()
        return Daemon(server, options)
    except PybootdError as error:
        raise SystemExit(str(error)) from None
