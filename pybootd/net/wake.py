"""Wake-on-LAN: the magic packet, sent by UDP from the interface that a machine is behind."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

from pybootd.net.udp import send

PORT = 9
"""Nobody listens there (RFC 863), and nobody need: the adapter reads the frame."""

TIMES = 3
"""A datagram may get lost, and the machine cannot ask for it again."""


def magic(mac: bytes) -> bytes:
    """Six times FF, then the hardware address sixteen times (AMD, Magic Packet Technology)."""
    return b"\xff" * 6 + mac * 16


def wake(mac: bytes, address: IPv4Address, interface: int) -> None:
    """
    Wake a machine.

    @param address: the broadcast address to send it to.
    @param interface: the index of the interface to leave by; 0: as routed.
    @raise OSError: it could not leave.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for _ in range(TIMES):
            send(sock, magic(mac), (str(address), PORT), interface)
