"""
From a packet to a request: which of the protocol's questions it asks, and what kind of program asks it.

RFC 2131 4.3.2 tells the four kinds of REQUEST apart; firmware is recognised by options 60, 77, 93, 97 and 175.
"""

from __future__ import annotations

import re
from struct import iter_unpack

from pybootd.dhcp import pxe
from pybootd.dhcp.decision import MessageType
from pybootd.dhcp.options import read_number
from pybootd.dhcp.packet import BOOTREQUEST, Packet
from pybootd.dhcp.request import Kind, Relay, Request
from pybootd.errors import MalformedPacket
from pybootd.machine import Firmware

BOOT_SERVER_PORT = 4011
PI_3 = b"\x44" * 16
"""Option 97 of the Raspberry Pi 3's ROM."""
PI_4_AND_LATER = re.compile(rb"RPi[4-9]")
_HOSTNAME = re.compile(rb"[A-Za-z0-9]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?")
_IPXE = (b"iPXE", b"gPXE")

_SIMPLE: dict[int, Kind] = {
    MessageType.DISCOVER: Kind.DISCOVER,
    MessageType.DECLINE: Kind.DECLINE,
    MessageType.RELEASE: Kind.RELEASE,
    MessageType.INFORM: Kind.INFORM,
}


def understand(
    packet: Packet,
    source: tuple[str, int] = ("0.0.0.0", 68),
    port: int = 67,
    interface: int = 0,
    unicast: bool = False,
) -> Request:
    """
    Make a request of a packet.

    @param source: where the datagram came from.
    @param port: the server's port that it was sent to.
    @param interface: the index of the interface that it arrived on.
    @param unicast: whether it was sent to this server's own address.
    @raise MalformedPacket: no client sends such a thing.
    """
    if packet.op != BOOTREQUEST:
        raise MalformedPacket("a server's reply")
    options = packet.options
    get = options.get
    vendor_class, classes = get(60, b""), get(77)
    uuid = pxe.machine_identifier(get(97, b""))
    kind = _kind(packet, port, unicast)
    ipxe = 175 in options if classes is None else pxe.user_class(classes) in _IPXE
    return Request(
        kind=kind,
        xid=packet.xid,
        secs=packet.secs,
        flags=packet.flags,
        htype=packet.htype,
        hops=packet.hops,
        chaddr=packet.chaddr,
        # RFC 2131 table 5: a DISCOVER has none, and who asks for an address by option 50 has none yet
        ciaddr=0 if kind in (Kind.DISCOVER, Kind.SELECTING, Kind.INIT_REBOOT) else packet.ciaddr,
        giaddr=packet.giaddr,
        source=source,
        port=port,
        interface=interface,
        unicast=unicast,
        requested=read_number(get(50), 4),
        server=read_number(get(54), 4),
        client_id=get(61, b""),
        uuid=uuid,
        architectures=_architectures(get(93, b""), vendor_class),
        vendor_class=vendor_class,
        user_class=pxe.user_class(classes) if classes else b"",
        firmware=_firmware(vendor_class, uuid, ipxe),
        ipxe_features=pxe.features(get(175, b"")) if ipxe else frozenset(),
        parameters=tuple(get(55, b"")),
        max_size=read_number(get(57), 2),
        hostname=_hostname(get(12, b"")),
        relay=_relay(options[82]) if 82 in options else None,
        subnet=read_number(get(118), 4),
        menu_item=pxe.boot_item(options[43]) if 43 in options else None,
        options=options,
    )


def _kind(packet: Packet, port: int, unicast: bool) -> Kind:
    if not packet.dhcp:
        return Kind.BOOTP
    number = read_number(packet.options[53], 1)
    simple = _SIMPLE.get(number)
    if simple is not None:
        return simple
    if number != MessageType.REQUEST:
        raise MalformedPacket(f"message type {number} is not a client's")
    if port == BOOT_SERVER_PORT:
        return Kind.BOOT_SERVER
    if read_number(packet.options.get(54), 4):
        return Kind.SELECTING
    if packet.ciaddr:
        return Kind.RENEWING if unicast else Kind.REBINDING
    if read_number(packet.options.get(50), 4):
        return Kind.INIT_REBOOT
    raise MalformedPacket("a REQUEST for no address")


def _firmware(vendor_class: bytes, uuid: bytes, ipxe: bool) -> Firmware:
    """A Raspberry Pi says x86 BIOS of itself, and iPXE says PXEClient: the order matters."""
    if uuid == PI_3 or PI_4_AND_LATER.match(uuid):
        return Firmware.RASPBERRY_PI
    if ipxe:
        return Firmware.IPXE
    if vendor_class.startswith(pxe.HTTP_CLIENT):
        return Firmware.HTTP_BOOT
    if vendor_class.startswith(pxe.PXE_CLIENT):
        return Firmware.PXE
    return Firmware.UNKNOWN


def _architectures(raw: bytes, vendor_class: bytes) -> tuple[int, ...]:
    if raw and len(raw) % 2 == 0:
        return tuple(number for (number,) in iter_unpack("!H", raw))
    number = pxe.architecture(vendor_class)
    return () if number is None else (number,)


def _hostname(raw: bytes) -> str:
    raw = raw.rstrip(b"\0")
    return raw.decode("ascii") if _HOSTNAME.fullmatch(raw) else ""


def _relay(raw: bytes) -> Relay:
    parts = dict(pxe.suboptions(raw))
    return Relay(
        raw,
        link=read_number(parts.get(5), 4),
        server=read_number(parts.get(11), 4),
        circuit=parts.get(1, b""),
        remote=parts.get(2, b""),
    )
