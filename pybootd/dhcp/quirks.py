"""
How each kind of firmware wants to be told what to load: data, with the source of each row.

A L{Form} is one way of saying it.  L{FORMS} has the forms for each kind of client, the usual one first; one that a
client ignores (it asks again) is followed by the next.  L{QUIRKS} has what certain firmware needs beside the RFCs.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from struct import pack

from attrs import frozen

from pybootd.dhcp import pxe
from pybootd.dhcp.architectures import BIOS
from pybootd.dhcp.request import Request
from pybootd.machine import Firmware
from pybootd.plain import plain


@frozen(eq=False)
class Form:
    """One way of telling a client what to load, and from where."""

    name: str
    options: Mapping[int, bytes]
    """43, 60 and 175."""
    names_file: bool = True
    """C{file} and option 67 are filled; else the client has to ask port 4011."""


PLAIN = Form("plain", {})
DIRECT = Form("PXE, direct", {60: pxe.PXE_CLIENT, 43: pxe.SKIP_DISCOVERY})
BARE = Form("PXE, by port 4011", {60: pxe.PXE_CLIENT}, names_file=False)
IPXE = Form("iPXE", {60: pxe.PXE_CLIENT, 175: pxe.NO_PXE_DHCP})
HTTP = Form("HTTP", {60: pxe.HTTP_CLIENT})
BOOT_SERVER = Form("PXE, from port 4011", {60: pxe.PXE_CLIENT})


@plain
class Speaker(Enum):
    """Clients that are told alike."""

    BIOS = "BIOS PXE"
    UEFI = "UEFI PXE"
    IPXE = "iPXE"
    HTTP = "HTTP boot"
    U_BOOT = "U-Boot"


Offers = tuple[Form, ...]
"""What answers one DISCOVER: one offer, or several of different form."""

FORMS: Mapping[tuple[bool, Speaker], tuple[Offers, ...]] = {
    # as the only server
    # skips the search for boot servers (PXE 2.1 2.2.3, discovery control)
    (False, Speaker.BIOS): ((DIRECT,), (PLAIN,), (BARE,)),
    # 60 without 43 would send EDK2 to port 4011 (edk2 #8149); an offer without either is a plain one, and boots
    (False, Speaker.UEFI): ((PLAIN,), (DIRECT,), (BARE,)),
    # 60 and 175.176: it waits for no proxy (ipxe src/net/udp/dhcp.c; 3 s less, measured)
    (False, Speaker.IPXE): ((IPXE,),),
    # an offer that does not say HTTPClient is dropped (UEFI 2.10 24.7.3)
    (False, Speaker.HTTP): ((HTTP,),),
    # knows neither 43 nor port 4011
    (False, Speaker.U_BOOT): ((PLAIN,),),
    # as a proxy beside the server that gives the addresses
    (True, Speaker.BIOS): ((DIRECT,), (BARE,)),
    # today's EDK2 loads from the first at once; EDK2 before 2017-04 drops that one (edk2 #6944) and asks port 4011
    (True, Speaker.UEFI): ((DIRECT, BARE), (BARE,), (DIRECT,)),
    # one only: of equals it takes the last
    (True, Speaker.IPXE): ((DIRECT,),),
    (True, Speaker.HTTP): ((HTTP,),),
    # drops an offer without an address, but for one built with SERVERIP_FROM_PROXYDHCP: that takes server and file
    (True, Speaker.U_BOOT): ((PLAIN,),),
}


@frozen
class Quirk:
    """What one kind of client needs."""

    name: str
    source: str
    uuid: bytes
    """How the machine identifier (option 97) of such a client begins."""
    form: Form | None = None
    """The only form in which it believes an answer."""
    terminated: bool = True
    """Option 67 ends in a NUL."""
    never_broadcast: bool = False
    """The reply goes to the client's hardware address, whatever its flags say."""
    announce: bool = False
    """The answer is followed by a gratuitous ARP, which pushes it through the client's network adapter."""
    binds: bool = False
    """It uses the OFFER and never sends a REQUEST: the address is its own from the OFFER on."""
    fixed_name: bool = False
    """It knows by itself what to load: it is served without an entry in C{[bootfile]}."""


def _menu(text: bytes) -> Form:
    """A boot menu of one item, taken at once; a Pi looks for this very text."""
    item = pack("!HB", 0, len(text)) + text
    parts = [(pxe.DISCOVERY_CONTROL, b"\x03"), (pxe.BOOT_MENU, item), (pxe.MENU_PROMPT, b"\0PXE")]
    return Form("Raspberry Pi's menu", {60: pxe.PXE_CLIENT, 43: pxe.encapsulate(parts)})


PIS = (
    Quirk(
        "Raspberry Pi 4 or later",
        "raspberrypi/rpi-eeprom #60, #82; raspberrypi/firmware #1850",
        b"RPi",
        form=_menu(b"Raspberry Pi Boot"),
        terminated=False,
        fixed_name=True,
    ),
    Quirk(
        "Raspberry Pi 3",
        # never sends a REQUEST; takes any offer that it sees, all boards with one xid; its adapter holds packets back;
        # a NUL in option 66 or 67 stops it.  The first loaders of the Pi 4 pass for one, which does them no harm
        "raspberrypi/firmware #1699, #1067, #894, #871",
        b"",
        form=_menu(b"Raspberry Pi Boot   "),
        terminated=False,
        never_broadcast=True,
        announce=True,
        binds=True,
        fixed_name=True,
    ),
)

# asks for boot.scr.uimg or, once it has its address, below pxelinux.cfg/
U_BOOT = Quirk("U-Boot", "u-boot include/config_distro_bootcmd.h, boot/pxe_utils.c", b"", fixed_name=True)

USUAL = Quirk("", "", b"")

QUIRKS: Mapping[Firmware, tuple[Quirk, ...]] = {Firmware.RASPBERRY_PI: PIS, Firmware.U_BOOT: (U_BOOT,)}
"""By what speaks; the first row that fits counts."""


def quirk_of(request: Request) -> Quirk:
    """The row that fits a request, or the usual."""
    rows = QUIRKS.get(request.firmware)
    if rows is None:
        return USUAL
    return next((quirk for quirk in rows if request.uuid.startswith(quirk.uuid)), USUAL)


def speaker_of(request: Request) -> Speaker:
    """Whom to tell."""
    if request.firmware is Firmware.IPXE:
        return Speaker.IPXE
    if request.firmware is Firmware.HTTP_BOOT:
        return Speaker.HTTP
    if request.firmware is Firmware.U_BOOT:
        return Speaker.U_BOOT
    return Speaker.BIOS if request.architecture in (None, BIOS) else Speaker.UEFI


def forms(request: Request, proxy: bool, attempt: int, quirk: Quirk, menu: Form | None = None) -> Offers:
    """
    In which forms this client is told.

    @param attempt: how many forms it has ignored already; after the last one comes the first again.
    @param menu: comes before all others.
    """
    if quirk.form is not None:
        return (quirk.form,)
    known = FORMS[proxy, speaker_of(request)]
    if menu is not None:
        known = ((menu,), *known)
    return known[attempt % len(known)]
