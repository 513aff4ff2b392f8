"""Does anybody have this address?  Asked by ICMP echo (RFC 792) behind relays, where no ARP gets through."""

from __future__ import annotations

import os
import socket
from ipaddress import IPv4Address
from struct import Struct, pack
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybootd.net.frames import checksum
from pybootd.net.probes import Probes
from pybootd.net.reader import SocketReader

REQUEST, REPLY = 8, 0
SOL_RAW, ICMP_FILTER = 255, 1
ONLY_REPLIES = pack("@I", 0xFFFFFFFF ^ 1 << REPLY)
"""A bit for each type that is not wanted (raw(7))."""

BURST = 64
"""Packets read in one wake-up; then others get their turn."""

_HEADER = Struct("!BBHHH")


def request(identifier: int) -> bytes:
    """An echo request."""
    bare = _HEADER.pack(REQUEST, 0, 0, identifier, 0)
    return _HEADER.pack(REQUEST, 0, checksum(bare), identifier, 0)


def answers(packet: bytes, identifier: int) -> bool:
    """Whether an IP packet is the answer to such a request."""
    message = packet[(packet[0] & 15) * 4 :] if packet else b""
    if len(message) < _HEADER.size:
        return False
    kind, _, _, whose, _ = _HEADER.unpack_from(message)
    return bool(kind == REPLY and whose == identifier)


class Echo(SocketReader):
    """Probes of addresses that routers lead to."""

    log = Logger()
    prefix = "ICMP echo"

    def __init__(self, sock: socket.socket, reactor: Any) -> None:
        """@param sock: a raw ICMP socket."""
        super().__init__(sock, reactor)
        self._identifier = os.getpid() & 0xFFFF
        self._probes = Probes(self._ask, reactor)

    def stop(self) -> None:
        """Stop, and close; probes under way count as unanswered."""
        super().stop()
        self._probes.stop()

    def probe(self, address: int, seconds: float) -> Deferred[bool]:
        """Does anybody answer at this address?  See L{Probes.probe}."""
        return self._probes.probe(address, seconds)

    def doRead(self) -> None:
        for _ in range(BURST):
            try:
                packet, source = self._socket.recvfrom(1500)
            except OSError:
                return
            if answers(packet, self._identifier):
                self._probes.heard(int(IPv4Address(source[0])))

    def _ask(self, address: int) -> None:
        self._socket.sendto(request(self._identifier), (str(IPv4Address(address)), 0))


def echo(reactor: Any) -> Echo | None:
    """Probes by echo; says why where that cannot be."""
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        sock.setblocking(False)
        sock.setsockopt(SOL_RAW, ICMP_FILTER, ONLY_REPLIES)
    except OSError as error:
        Echo.log.info("no ICMP ({error}): addresses behind relays are given without a probe", error=error.strerror)
        return None
    return Echo(sock, reactor)
