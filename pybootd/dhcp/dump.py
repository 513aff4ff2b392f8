"""A packet for people: one line for each field and option that says something, everything foreign in it escaped."""

from __future__ import annotations

from collections.abc import Iterator

from pybootd.dhcp.delivery import BROADCAST_FLAG
from pybootd.dhcp.options import describe, dotted, name_of
from pybootd.dhcp.packet import BOOTREQUEST, MESSAGE_TYPE, Packet
from pybootd.machine import mac_text
from pybootd.text import printable


def dump(packet: Packet) -> Iterator[str]:
    """The packet, line by line; fields that are empty are left out."""
    way = "from" if packet.op == BOOTREQUEST else "for"
    kind = describe(MESSAGE_TYPE, packet.options[MESSAGE_TYPE]) if packet.dhcp else "BOOTP"
    yield f"{kind} {way} {mac_text(packet.chaddr) or 'nobody'}, {packet.size} bytes"
    flags = f"{packet.flags:#06x}" + (" (broadcast)" if packet.flags & BROADCAST_FLAG else "")
    yield f"htype {packet.htype}, hops {packet.hops}, xid {packet.xid:#010x}, secs {packet.secs}, flags {flags}"
    for name in ("ciaddr", "yiaddr", "siaddr", "giaddr"):
        address = getattr(packet, name)
        if address:
            yield f"{name}: {dotted(address)}"
    for name in ("sname", "file"):
        text = getattr(packet, name).partition(b"\0")[0]
        if text:
            yield f"{name}: {printable(text)}"
    for code, raw in packet.options.items():
        if code != MESSAGE_TYPE:
            yield f"{code} {name_of(code)}: {describe(code, raw)}"
