"""The server in the foreground: what twistd does for a daemon, as far as a person at a terminal needs it."""

from __future__ import annotations

import signal
from typing import Any

from twisted.application.service import MultiService
from twisted.logger import ILogObserver, globalLogBeginner

from pybootd.errors import PybootdError


def run(server: MultiService, observer: ILogObserver, reactor: Any) -> int:
    """
    Serve until a signal ends it.

    @return: the exit status.
    @raise PybootdError: it cannot start.
    """
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    reopen_on_signal(observer, reactor)
    failed: list[PybootdError] = []

    def start() -> None:
        try:
            server.privilegedStartService()
            server.startService()
        except PybootdError as error:
            failed.append(error)
            reactor.stop()

    reactor.callWhenRunning(start)
    reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
    reactor.run()
    if failed:
        raise failed[0]
    return 0


def reopen_on_signal(observer: ILogObserver, reactor: Any) -> None:
    """SIGUSR1: the log file was moved away; go on in a new one."""
    reopen = getattr(observer, "reopen", None)
    if reopen is not None:
        signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(reopen))
