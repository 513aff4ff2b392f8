"""
Tells that something about this host's interfaces has changed: one appeared or went, or has another address.

What has changed is for the listener to look at.  Linux only (rtnetlink(7)); elsewhere nobody is told.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from pybootd.net.reader import SocketReader

RTMGRP_LINK, RTMGRP_IPV4_IFADDR = 0x1, 0x10

PAUSE = 0.5
"""Seconds: what changes together is told once."""

SPACING = 2.0
"""Seconds between two calls at least: on some hosts interfaces of others come and go all the time."""

BURST = 64
"""Messages read in one wake-up."""


class Changes(SocketReader):
    """Calls when there is something new."""

    prefix = "interfaces"

    def __init__(self, sock: socket.socket, changed: Callable[[], object], reactor: Any) -> None:
        """@param changed: called L{PAUSE} seconds after the first of some changes."""
        super().__init__(sock, reactor)
        self._changed = changed
        self._soon: Any = None
        self._earliest = 0.0

    def stop(self) -> None:
        """Stop, and close."""
        super().stop()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None

    def doRead(self) -> None:
        for _ in range(BURST):
            try:
                self._socket.recv(65536)
            except OSError:  # nothing more; or ENOBUFS: more than fits, which is as good as any of it
                break
        if self._soon is None:
            self._soon = self._reactor.callLater(max(PAUSE, self._earliest - self._reactor.seconds()), self._tell)

    def _tell(self) -> None:
        self._soon = None
        self._earliest = self._reactor.seconds() + SPACING
        self._changed()


def changes(changed: Callable[[], object], reactor: Any) -> Changes | None:
    """Whoever tells; None where the system has nobody."""
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        sock.setblocking(False)
        sock.bind((0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR))
    except (OSError, AttributeError):
        return None
    return Changes(sock, changed, reactor)
