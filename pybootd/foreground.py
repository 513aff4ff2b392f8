"""The server in the foreground: what twistd does for a daemon, as far as a person at a terminal needs it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any

from twisted.logger import ILogObserver, globalLogBeginner

from pybootd.errors import PybootdError
from pybootd.garbage import searched_rarely
from pybootd.reload import on_signal
from pybootd.service import BootServer


def run(
    server: BootServer,
    observer: ILogObserver,
    reactor: Any,
    reload: Callable[[], object],
    started: Callable[[], object] = lambda: None,
) -> int:
    """
    Serve until a signal ends it.

    @param reload: called on SIGHUP, unless that means that the terminal is gone.
    @param started: called once the server serves.
    @return: the exit status.
    @raise PybootdError: it cannot start.
    """
    attended = _attended()

    def hung_up() -> None:
        if attended and not _attended():
            reactor.stop()
        else:
            reload()

    # before anybody can see that the server is there: a signal that comes early is minded as one that comes later
    on_signal(hung_up, reactor)
    reopen_on_signal(observer, reactor)
    signal.signal(signal.SIGTERM, lambda *_: reactor.callFromThread(reactor.stop))  # the reactor has its own later
    server.bind()
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    failed: list[PybootdError] = []

    def start() -> None:
        try:
            server.privilegedStartService()
            with searched_rarely():
                server.startService()
            started()
        except PybootdError as error:
            failed.append(error)
            reactor.stop()

    reactor.callWhenRunning(start)
    reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
    reactor.run()
    if failed:
        raise failed[0]
    return 0


def _attended() -> bool:
    """Whether there is somebody at a terminal."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def reopen_on_signal(observer: ILogObserver, reactor: Any) -> None:
    """SIGUSR1: the log file was moved away; go on in a new one."""
    reopen = getattr(observer, "reopen", None)
    if reopen is not None:
        signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(reopen))
