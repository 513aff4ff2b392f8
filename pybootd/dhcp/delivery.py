"""
Where a reply goes (RFC 2131 4.1), and nothing else.

@see: RFC 1542 4.1.2 for relays; RFC 2131 4.3.2 for the broadcast bit of a NAK.
"""

from __future__ import annotations

from enum import Enum
from ipaddress import IPv4Address

from pybootd.dhcp.decision import MessageType, Reply
from pybootd.dhcp.request import Kind, Request
from pybootd.plain import plain
from pybootd.value import value

LIMITED_BROADCAST = 0xFFFFFFFF
BROADCAST_FLAG = 0x8000
ETHERNET = 1


@plain
class Way(Enum):
    """How the datagram travels."""

    ROUTED = "routed"
    """To an address that answers ARP: a relay, a client that has its address."""
    BROADCAST = "broadcast"
    """To everybody on the interface that the request came from."""
    HARDWARE = "hardware"
    """To the client's hardware address: it has no IP address yet, and answers no ARP."""


@value
class Destination:
    """Where, and how."""

    way: Way
    address: int
    port: int
    interface: int = 0
    """The interface's index; 0 lets the routing table choose."""
    chaddr: bytes = b""


def route(
    request: Request, reply: Reply, *, broadcast: int = 0, never_broadcast: bool = False, server_port: int = 67
) -> Destination:
    """
    Say where the reply to this request goes.

    @param broadcast: the address to use for everybody without an address, whatever the client's flags say; 0: as
        RFC 2131 has it.
    @param never_broadcast: a client that is harmed by what others are sent (Raspberry Pi 3).
    @param server_port: the port of the server; a client's is one above (67 and 68, in real life).
    """
    if request.giaddr:
        return Destination(Way.ROUTED, request.giaddr, server_port)
    port = server_port + 1
    if request.kind is Kind.BOOT_SERVER or request.kind is Kind.INFORM:
        # from a socket of the client's own, on any port: PXE's are 68 and 4011
        source = int(IPv4Address(request.source[0]))
        address = source or request.ciaddr
        if address and (source == request.ciaddr or request.kind is Kind.BOOT_SERVER):
            return Destination(Way.ROUTED, address, request.source[1], request.interface)
    if request.ciaddr and reply.type is not MessageType.NAK:
        return Destination(Way.ROUTED, request.ciaddr, port, request.interface)
    usable = request.htype == ETHERNET and len(request.chaddr) == 6
    unicast = reply.yiaddr and not broadcast and not request.flags & BROADCAST_FLAG
    if usable and (never_broadcast or unicast):
        return Destination(Way.HARDWARE, reply.yiaddr or LIMITED_BROADCAST, port, request.interface, request.chaddr)
    # whom a NAK is for may believe in an address of another network (RFC 2131 4.3.2)
    everybody = LIMITED_BROADCAST if reply.type is MessageType.NAK else broadcast or LIMITED_BROADCAST
    return Destination(Way.BROADCAST, everybody, port, request.interface)
