"""
A word to a booting iPXE that waits for an IPv6 router: there is none (C{router_advertisement = yes}).

iPXE's C{dhcp} ends only when IPv6 configuration has ended too, which costs up to 15 s where no router answers.  An
empty router advertisement of lifetime 0 (RFC 4861 4.2), sent to that client alone, ends it at once and tells nobody
anything of a router.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger

from pybootd.net.interfaces import Interface
from pybootd.net.reader import SocketReader

SOLICITATION, ADVERTISEMENT = 133, 134
ALL_ROUTERS = "ff02::2"
ICMP6_FILTER = 1
ONLY_SOLICITATIONS = struct.pack("@8I", *(0xFFFFFFFF ^ (1 << 5 if word == 4 else 0) for word in range(8)))
"""RFC 3542 3.2: a bit for each type that is not wanted; 133 is bit 5 of the fifth word."""

EMPTY = struct.pack("!BBHBBHII", ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0)
"""No router, no prefix, nothing to configure."""


class Advertiser(SocketReader):
    """Hears router solicitations, and answers those of machines that boot by iPXE."""

    log = Logger()
    prefix = "router solicitations"

    def __init__(self, sock: socket.socket, boots: Callable[[str], bool], reactor: Any) -> None:
        """@param boots: whether the machine with this hardware address is an iPXE just now."""
        super().__init__(sock, reactor)
        self._boots = boots

    def join(self, interface: Interface) -> None:
        """Hear the solicitations on one more interface."""
        try:
            _join(self._socket, interface)
        except OSError as error:
            self.log.warn("no IPv6 on {name}: {reason}", name=interface.name, reason=error.strerror)

    def doRead(self) -> None:
        try:
            message, source = self._socket.recvfrom(1500)
        except OSError:
            return
        mac = solicitor(message, source[0])
        if mac and self._boots(mac):
            try:
                self._socket.sendto(EMPTY, source)
            except OSError as error:
                self.log.info("{mac} waits for an IPv6 router: {reason}", mac=mac, reason=error.strerror)


def _join(sock: socket.socket, interface: Interface) -> None:
    group = socket.inet_pton(socket.AF_INET6, ALL_ROUTERS) + struct.pack("@I", interface.index)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)


def solicitor(message: bytes, source: str) -> str:
    """
    The hardware address of who sends a router solicitation; empty where it cannot be told or answered.

    It stands in the source link-layer option (RFC 4861 4.6.1), else in a link-local address made of it (RFC 4291 A).
    """
    address = source.partition("%")[0]
    if not message or message[0] != SOLICITATION or address == "::":
        return ""
    at = 8
    while at + 2 <= len(message) and message[at + 1]:
        if message[at] == 1 and message[at + 1] == 1 and at + 8 <= len(message):
            return message[at + 2 : at + 8].hex(":")
        at += 8 * message[at + 1]
    try:
        low = socket.inet_pton(socket.AF_INET6, address)[8:]
    except OSError:
        return ""
    if low[3:5] != b"\xff\xfe":
        return ""
    return (bytes((low[0] ^ 2,)) + low[1:3] + low[5:]).hex(":")


def advertiser(interfaces: Sequence[Interface], boots: Callable[[str], bool], reactor: Any) -> Advertiser | None:
    """An advertiser on these interfaces; says why where that cannot be."""
    try:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, ONLY_SOLICITATIONS)
        # a receiver drops what passed a router (RFC 4861 6.1.2)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
        for interface in interfaces:
            _join(sock, interface)
    except OSError as error:
        Advertiser.log.warn("router_advertisement: no IPv6 here ({reason})", reason=error.strerror)
        return None
    return Advertiser(sock, boots, reactor)
