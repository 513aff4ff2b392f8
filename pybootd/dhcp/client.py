"""
From a packet to a request: which of the protocol's questions it asks, and what kind of program asks it.

RFC 2131 4.3.2 tells the four kinds of REQUEST apart; firmware is recognised by options 60, 77, 93, 97 and 175.
"""

from __future__ import annotations

import re
from functools import lru_cache
from struct import unpack_from

from pybootd.dhcp import pxe
from pybootd.dhcp.architectures import BY_NUMBER
from pybootd.dhcp.decision import MessageType
from pybootd.dhcp.options import read_number
from pybootd.dhcp.packet import BOOTREQUEST, HEADERS, MESSAGE_TYPE, Packet
from pybootd.dhcp.request import INFINIBAND, Kind, Relay, Request
from pybootd.errors import MalformedPacket
from pybootd.machine import Firmware

BOOT_SERVER_PORT = 4011

ARCHITECTURES = 8
"""So many are read: honest firmware names one or two, and the decision looks for a file for each."""

IDENTIFIER = 255
"""Bytes by which an InfiniBand machine may be known, and remembered: with a DUID they are 135 (RFC 4390, 8415 11.1)."""

_PI_3_ROM = b"\x44" * 16
_HOSTNAME = re.compile(rb"[A-Za-z0-9]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?")
U_BOOT = b"U-Boot"
"""Begins its vendor class, C{U-Boot.armv8}: it says C{PXEClient} nowhere (u-boot net/bootp.c, BOOTP_VCI_STRING)."""

_IPXE = (b"iPXE", b"gPXE")

_SIMPLE: dict[int, Kind] = {
    MessageType.DISCOVER: Kind.DISCOVER,
    MessageType.DECLINE: Kind.DECLINE,
    MessageType.RELEASE: Kind.RELEASE,
    MessageType.INFORM: Kind.INFORM,
}
_HOMELESS = (Kind.DISCOVER, Kind.SELECTING, Kind.INIT_REBOOT)
"""Who asks this has no address yet (RFC 2131 table 5), whatever stands in ciaddr."""


def vendor_class(architecture: int) -> bytes:
    """What firmware of that kind says of itself in option 60, as far as it is told apart by that."""
    known = BY_NUMBER.get(architecture)
    if known is not None and known.http:
        return pxe.HTTP_CLIENT
    return U_BOOT if known is not None and known.name.endswith("-uboot") else pxe.PXE_CLIENT


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
    if packet.htype == INFINIBAND and len(get(61, b"")) > IDENTIFIER:
        raise MalformedPacket(f"an InfiniBand client's identifier of {len(options[61])} bytes")
    vendor_class = get(60, b"")
    firmware, architectures, features = _program(vendor_class, get(77), get(93, b""), get(175))
    uuid = pxe.machine_identifier(options[97]) if 97 in options else b""
    if uuid and _is_raspberry_pi(uuid):
        firmware = Firmware.RASPBERRY_PI  # which says of itself that it is an x86 BIOS
    requested = read_number(options[50], 4) if 50 in options else 0
    server = read_number(options[54], 4) if 54 in options else 0
    item = pxe.boot_item(options[43]) if 43 in options and vendor_class.startswith(pxe.PXE_CLIENT) else None
    unicast = unicast and not packet.giaddr
    kind = _kind(packet, requested, server, unicast, port == BOOT_SERVER_PORT, item is not None)
    return Request(
        kind=kind,
        xid=packet.xid,
        flags=packet.flags,
        htype=packet.htype,
        chaddr=packet.chaddr,
        ciaddr=0 if kind in _HOMELESS else packet.ciaddr,
        giaddr=packet.giaddr,
        source=source,
        port=port,
        interface=interface,
        unicast=unicast,
        requested=requested,
        server=server,
        client_id=get(61, b""),
        uuid=uuid,
        architectures=architectures,
        vendor_class=vendor_class,
        firmware=firmware,
        ipxe_features=features,
        parameters=tuple(get(55, b"")[:255]),
        max_size=read_number(get(57), 2) or (packet.size + HEADERS if kind is Kind.BOOTP else 0),
        hostname=_hostname(options[12]) if 12 in options else "",
        relay=_relay(options[82]) if 82 in options else None,
        subnet=read_number(options[118], 4) if 118 in options else 0,
        menu_item=item,
        options=options,
    )


def _kind(packet: Packet, requested: int, server: int, unicast: bool, boot_port: bool, chosen: bool) -> Kind:
    """
    @param boot_port: it was sent to port 4011, where nothing else is asked than for a file, whatever else it repeats.
    @param chosen: it names an item of a menu.
    """
    said = packet.options.get(MESSAGE_TYPE)
    if said is None:
        return Kind.BOOTP
    number = said[0] if len(said) == 1 else 0
    if chosen and number == MessageType.INFORM:
        return Kind.BOOT_SERVER
    simple = _SIMPLE.get(number)
    if simple is not None:
        return simple
    if number != MessageType.REQUEST:
        raise MalformedPacket(f"message type {number} is not a client's")
    if boot_port:
        return Kind.BOOT_SERVER
    if requested and server:
        return Kind.SELECTING
    if chosen:
        return Kind.BOOT_SERVER
    # a ciaddr beside another address in option 50 is bogus; an address of its own named twice is not
    if requested and requested != packet.ciaddr:
        return Kind.INIT_REBOOT
    if packet.ciaddr:
        return Kind.RENEWING if unicast else Kind.REBINDING
    raise MalformedPacket("a REQUEST for no address")


@lru_cache(256)
def _program(
    vendor_class: bytes, user_class: bytes | None, architectures: bytes, ipxe_options: bytes | None
) -> tuple[Firmware, tuple[int, ...], frozenset[int]]:
    """
    What kind of program speaks, for what architectures it asks, and what it can do if it is iPXE.

    All machines of one make say the same of it: a few answers are kept, for making one took a fifth of the time that
    a packet takes to be understood.
    """
    # an iPXE in the ROM whose owner gave it a user class of his own wants the loader that any other ROM gets
    ipxe = pxe.user_class(user_class) in _IPXE if user_class is not None else ipxe_options is not None
    features = pxe.features(ipxe_options) if ipxe and ipxe_options else frozenset[int]()
    return _firmware(vendor_class, ipxe), _architectures(architectures, vendor_class), features


def _firmware(vendor_class: bytes, ipxe: bool) -> Firmware:
    """iPXE says PXEClient: the order matters."""
    if ipxe:
        return Firmware.IPXE
    if vendor_class.startswith(pxe.PXE_CLIENT):
        return Firmware.PXE
    if vendor_class.startswith(pxe.HTTP_CLIENT):
        return Firmware.HTTP_BOOT
    if vendor_class.startswith(U_BOOT):
        return Firmware.U_BOOT
    return Firmware.UNKNOWN


def _is_raspberry_pi(uuid: bytes) -> bool:
    """
    C{RPi4} and C{RPi5} begin what later loaders have for a UUID; earlier ones repeat their serial number four times
    (raspberrypi/firmware #941, rpi-eeprom #58, #87).  One byte throughout is the Pi 3's ROM, or the mark of a careless
    maker of PCs.
    """
    if uuid.startswith(b"RPi") or uuid == _PI_3_ROM:
        return True
    return uuid == uuid[:4] * 4 and uuid != uuid[:1] * 16


def _architectures(raw: bytes, vendor_class: bytes) -> tuple[int, ...]:
    if raw and len(raw) % 2 == 0:
        return unpack_from(f"!{min(len(raw) // 2, ARCHITECTURES)}H", raw)
    number = pxe.architecture(vendor_class)
    return () if number is None else (number,)


def _hostname(raw: bytes) -> str:
    raw = raw.rstrip(b"\0")
    return raw.decode("ascii") if _HOSTNAME.fullmatch(raw) else ""


def _relay(raw: bytes) -> Relay:
    parts = dict(pxe.suboptions(raw))
    return Relay(raw, link=read_number(parts.get(5), 4), server=read_number(parts.get(11), 4))
