"""
One worker: C{python -m pybootd.workers}, started by the main process with its channel as standard input.

It has no configuration, opens nothing, and lives exactly as long as the other end of the channel.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Any

from pybootd.workers.channel import AVAILABLE

IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""Meant for the main process, by whoever sends them to all: a terminal, or a service manager."""


def main() -> None:
    """Work until the main process has gone."""
    if not AVAILABLE or not _is_channel():
        sys.exit("a worker process of pybootd, which the server starts by itself; not meant to be started by hand")
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    from twisted.internet import reactor

    from pybootd.steady import steady
    from pybootd.workers.worker import Worker

    loop: Any = reactor
    steady(loop)
    Worker(socket.socket(fileno=os.dup(0)), loop).start()
    loop.run(installSignalHandlers=False)


def _is_channel() -> bool:
    try:
        with socket.socket(fileno=os.dup(0)) as sock:
            return (sock.family, sock.type) == (socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError:
        return False


if __name__ == "__main__":
    main()
