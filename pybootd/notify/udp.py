"""
Notifications by UDP, as the original sent them: one ASCII datagram each.

C{BOOT,<uuid>,<mac>,<ip>} when a machine that boots has its address, C{LEASE,...} for another one, C{RELEASE,...} when
it gives it back.  The UUID and its comma are left out where it is not known; the hardware address is C{AA:BB:...}.
"""

from __future__ import annotations

from collections.abc import Sequence
from socket import socket

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from pybootd.events import Event, Leased, Released
from pybootd.interfaces import INotifier


@implementer(INotifier)
class UdpNotifier:
    """Tells each of some addresses."""

    log = Logger()
    name = "udp"

    def __init__(self, targets: Sequence[tuple[str, int]], sock: socket) -> None:
        """@param sock: a UDP socket that does not block."""
        self._targets = targets
        self._socket = sock

    def notify(self, event: Event) -> None:
        text = datagram(event)
        if text is None:
            return
        for target in self._targets:
            try:
                self._socket.sendto(text, target)
            except OSError as error:
                self.log.warn("cannot notify {host}:{port}: {error}", host=target[0], port=target[1], error=error)

    def close(self) -> Deferred[None]:
        self._socket.close()
        return succeed(None)


def datagram(event: Event) -> bytes | None:
    """What listeners are told of an event; None: nothing."""
    if isinstance(event, Leased):
        kind = "BOOT" if event.boot else "LEASE"
    elif isinstance(event, Released):
        kind = "RELEASE"
    else:
        return None
    uuid = f"{str(event.uuid).upper()}," if event.uuid is not None else ""
    return f"{kind},{uuid}{event.mac.upper()},{event.address}".encode("ascii")
