"""
Reaching machines below IP: frames to those that have no address yet, and probes of addresses before they are given.

One AF_PACKET socket for each interface that is served, opened before privileges are dropped.  Without the privilege, or
on another system than Linux, there is none: replies are broadcast instead, and addresses are not probed.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybootd.net import frames
from pybootd.net.interfaces import Interface
from pybootd.net.probes import Probes
from pybootd.net.reader import SocketReader

BURST = 64
"""Frames read in one wake-up; then others get their turn."""


class Neighbours(SocketReader):
    """The machines on one interface, by their hardware addresses."""

    log = Logger()

    def __init__(self, interface: Interface, sock: socket.socket, reactor: Any) -> None:
        """@param sock: an AF_PACKET socket that is bound to the interface and hears ARP."""
        super().__init__(sock, reactor)
        self.interface = interface
        self.prefix = f"ARP on {interface.name}"
        self._probes = Probes(lambda address: sock.send(frames.arp_probe(self.interface.mac, address)), reactor)

    def stop(self) -> None:
        """Stop, and close; probes under way count as unanswered."""
        super().stop()
        self._probes.stop()

    def send(self, payload: bytes, source: int, source_port: int, target_mac: bytes, target: int, port: int) -> None:
        """
        A UDP datagram to a hardware address.

        @raise OSError: it could not leave.
        """
        self._socket.send(
            frames.udp_frame(
                payload,
                source_mac=self.interface.mac,
                target_mac=target_mac,
                source=source,
                source_port=source_port,
                target=target,
                target_port=port,
            )
        )

    def announce(self, address: int, to: bytes) -> None:
        """Tell one machine who has an address: ours, for clients whose adapter needs one more frame."""
        self._socket.send(frames.arp_announcement(self.interface.mac, address, to))

    def probe(self, address: int, seconds: float) -> Deferred[bool]:
        """Does anybody on this interface have this address?  See L{Probes.probe}."""
        return self._probes.probe(address, seconds)

    def doRead(self) -> None:
        for _ in range(BURST):
            try:
                frame = self._socket.recv(128)
            except OSError:
                return
            spoke = frames.arp_sender(frame)
            if spoke is not None and spoke[0] != self.interface.mac:
                self._probes.heard(spoke[1])


def neighbours(interfaces: Sequence[Interface], reactor: Any) -> dict[int, Neighbours]:
    """Whoever can be reached below IP, by interface index; says once where that cannot be."""
    found: dict[int, Neighbours] = {}
    for interface in interfaces:
        if len(interface.mac) != 6:
            continue
        try:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)  # hears nothing until it is bound
            sock.setblocking(False)
            sock.bind((interface.name, frames.ETHERTYPE_ARP))
        except (OSError, AttributeError) as error:
            Neighbours.log.info(
                "no raw frames on {name} ({error}): machines without an address are answered by broadcast, and"
                " addresses are given without a probe",
                name=interface.name,
                error=getattr(error, "strerror", None) or "not on this system",
            )
            continue
        found[interface.index] = Neighbours(interface, sock, reactor)
    return found
