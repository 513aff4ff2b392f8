"""
Reaching machines below IP: frames to those that have no address yet, and probes of addresses before they are given.

One AF_PACKET socket for each interface that is served, opened before privileges are dropped.  Without the privilege, or
on another system than Linux, there is none: replies are broadcast instead, and addresses are not probed.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from pybootd.net import frames
from pybootd.net.interfaces import Interface

PROBES_AT_ONCE = 256
ONLY_ARP = 0x0806


@implementer(IReadDescriptor)
class Neighbours:
    """The machines on one interface, by their hardware addresses."""

    log = Logger()

    def __init__(self, interface: Interface, sock: socket.socket, reactor: Any) -> None:
        """@param sock: an AF_PACKET socket that is bound to the interface and hears ARP."""
        self.interface = interface
        self._socket = sock
        self._reactor = reactor
        self._probes: dict[int, tuple[Deferred[bool], Any]] = {}

    def start(self) -> None:
        """Begin to hear ARP."""
        self._reactor.addReader(self)

    def stop(self) -> None:
        """Stop, and close; probes under way count as unanswered."""
        self._reactor.removeReader(self)
        for address in tuple(self._probes):
            self._answered(address, False)
        self._socket.close()

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
        """
        Does anybody have this address?

        @return: fires with True when somebody answered, with False when nobody did for so long.
        """
        if address in self._probes or len(self._probes) >= PROBES_AT_ONCE:
            return succeed(False)
        waiting: Deferred[bool] = Deferred()
        timer = self._reactor.callLater(seconds, self._answered, address, False)
        self._probes[address] = waiting, timer
        try:
            self._socket.send(frames.arp_probe(self.interface.mac, address))
        except OSError as error:
            self.log.warn("cannot probe addresses on {name}: {error}", name=self.interface.name, error=error)
            self._answered(address, False)
        return waiting

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:
        return f"ARP on {self.interface.name}"

    def connectionLost(self, reason: object) -> None:
        self._socket.close()

    def doRead(self) -> None:
        for _ in range(64):
            try:
                frame = self._socket.recv(128)
            except OSError:
                return
            spoke = frames.arp_sender(frame)
            if spoke is not None and spoke[1] in self._probes and spoke[0] != self.interface.mac:
                self._answered(spoke[1], True)

    def _answered(self, address: int, taken: bool) -> None:
        waiting, timer = self._probes.pop(address)
        if timer.active():
            timer.cancel()
        waiting.callback(taken)


def neighbours(interfaces: Sequence[Interface], reactor: Any) -> dict[int, Neighbours]:
    """Whoever can be reached below IP, by interface index; says once where that cannot be."""
    found: dict[int, Neighbours] = {}
    for interface in interfaces:
        if len(interface.mac) != 6:
            continue
        try:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.htons(ONLY_ARP))
            sock.setblocking(False)
            sock.bind((interface.name, ONLY_ARP))
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
