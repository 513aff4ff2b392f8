"""
Where a reply goes (RFC 2131 4.1), and nothing else.

@see: RFC 1542 4.1.2 for relays; RFC 2131 4.3.2 for the broadcast bit of a NAK.
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from pybootd.dhcp.decision import MessageType, Reply
from pybootd.dhcp.request import Kind, Request

LIMITED_BROADCAST = 0xFFFFFFFF
BROADCAST_FLAG = 0x8000
ETHERNET = 1


class Way(Enum):
    """How the datagram travels."""

    ROUTED = "routed"
    """To an address that answers ARP: a relay, a client that has its address."""
    BROADCAST = "broadcast"
    """To everybody on the interface that the request came from."""
    HARDWARE = "hardware"
    """To the client's hardware address: it has no IP address yet, and answers no ARP."""


@frozen
class Destination:
    """Where, and how."""

    way: Way
    address: int
    port: int
    interface: int = 0
    """The interface's index; 0 lets the routing table choose."""
    chaddr: bytes = b""


def route(
    request: Request, reply: Reply, *, network_broadcast: int = 0, never_broadcast: bool = False, server_port: int = 67
) -> Destination:
    """
    Say where the reply to this request goes.

    @param network_broadcast: the address that stands for the limited broadcast where C{broadcast = network}; 0 else.
    @param never_broadcast: a client that is harmed by what others are sent (Raspberry Pi 3).
    @param server_port: the port of the server; a client's is one above (67 and 68, in real life).
    """
    if request.giaddr:
        return Destination(Way.ROUTED, request.giaddr, server_port)
    client_port = server_port + 1
    if request.kind is Kind.BOOT_SERVER:
        address = request.ciaddr or _number(request.source[0])
        if address:
            return Destination(Way.ROUTED, address, request.source[1], request.interface)
    if reply.type is not MessageType.NAK:
        if request.ciaddr:
            return Destination(Way.ROUTED, request.ciaddr, client_port, request.interface)
        reachable = request.htype == ETHERNET and len(request.chaddr) == 6 and reply.yiaddr
        if reachable and (never_broadcast or not request.flags & BROADCAST_FLAG):
            return Destination(Way.HARDWARE, reply.yiaddr, client_port, request.interface, request.chaddr)
    return Destination(Way.BROADCAST, network_broadcast or LIMITED_BROADCAST, client_port, request.interface)


def _number(address: str) -> int:
    parts = address.split(".")
    return int.from_bytes(bytes(map(int, parts)), "big") if len(parts) == 4 else 0
