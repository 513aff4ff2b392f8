"""What TFTP has to know of the interface that a client is behind."""

from __future__ import annotations

import os
import socket
from struct import pack, unpack_from

from attrs import frozen

try:
    from fcntl import ioctl
except ImportError:  # no POSIX system
    ioctl = None  # type: ignore[assignment]

SIOCGIFMTU = 0x8921
SIOCGIFBRDADDR = 0x8919
ETHERNET_MTU = 1500


@frozen
class Link:
    """One interface's link."""

    mtu: int = ETHERNET_MTU
    """Bytes of the largest IP packet."""

    broadcast: int = 0
    """The network's broadcast address; 0: none."""


def link(index: int) -> Link:
    """
    Look an interface up.

    @param index: the kernel's; 0 or one that is gone gives what is usual.
    """
    if not index or os.uname().sysname != "Linux":
        return Link()
    try:
        name = pack("16s16x", socket.if_indextoname(index).encode())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            mtu: int = unpack_from("=i", ioctl(sock.fileno(), SIOCGIFMTU, name), 16)[0]
            try:
                broadcast: int = unpack_from("!I", ioctl(sock.fileno(), SIOCGIFBRDADDR, name), 20)[0]
            except OSError:
                broadcast = 0
    except OSError:
        return Link()
    return Link(mtu, broadcast)
