"""
The fields and options of a reply, once it is decided that there is one.

Which options a boot client gets depends on what speaks (RFC 4578; PXE 2.1 2.2; UEFI 2.10 24.7):

    ============== ======== ============ =============== ====================================================
    client          60       43           67              why
    ============== ======== ============ =============== ====================================================
    BIOS PXE        echoed   6: 8         name, NUL       loads the file at once, asks no boot server
    UEFI PXE        -        -            name, NUL       an offer without 60 is a plain one, and boots; 60 without 43
                                                          would send EDK2 to port 4011 (edk2 #8149)
    iPXE            echoed   -            name, NUL       does not wait for a proxy (with 175.176 beside it)
    UEFI HTTP       echoed   -            URL             an offer without HTTPClient is dropped
    Raspberry Pi    echoed   9, 10        -               wants its own menu text
    ============== ======== ============ =============== ====================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import pack

from pybootd.dhcp import pxe
from pybootd.dhcp.architectures import BIOS
from pybootd.dhcp.decision import MessageType, Reply
from pybootd.dhcp.options import dotted
from pybootd.dhcp.quirks import Quirk
from pybootd.dhcp.request import Kind, Request
from pybootd.dhcp.settings import Network
from pybootd.machine import Firmware

LONG_NAME = 127
"""Bytes that C{file} holds beside its NUL."""


def answer(
    type: MessageType,
    request: Request,
    network: Network,
    *,
    address: int = 0,
    server: int = 0,
    lease_time: int = 0,
    boot_file: str = "",
    boot_file_size: int | None = None,
    hostname: str = "",
    server_name: bytes = b"",
    quirk: Quirk,
    vendor: Mapping[int, bytes] | None = None,
) -> Reply:
    """
    A reply that serves.

    @param server: option 54, where a relay wants another one than the network's.
    @param vendor: options 43 and 60 and the like, where the usual ones of this client are not wanted (proxy forms).
    """
    options: dict[int, bytes] = {}
    if type is not MessageType.BOOTP:
        options[53] = bytes((type,))
        options[54] = pack("!I", server or network.server)
        if lease_time:
            options[51] = pack("!I", lease_time)
    if address or request.kind is Kind.INFORM:
        _network_options(options, request, network, hostname, lease_time)
    if request.boots and boot_file:
        _boot_options(options, request, network, boot_file, boot_file_size, quirk, vendor)
    if request.client_id and type is not MessageType.BOOTP:
        options[61] = request.client_id  # RFC 6842
    if request.relay is not None:
        options[82] = request.relay.raw
    name = boot_file.encode("utf-8", "surrogateescape") if request.boots else b""
    return Reply(
        type,
        yiaddr=address,
        ciaddr=request.ciaddr if type is MessageType.ACK else 0,
        siaddr=network.next_server if request.boots or boot_file else 0,
        giaddr=request.giaddr,
        flags=request.flags,
        sname=server_name if request.boots else b"",
        file=name if len(name) <= LONG_NAME else b"",
        options=options,
        boot_file=boot_file if request.boots else "",
    )


def refusal(request: Request, server: int, reason: str) -> Reply:
    """A NAK (RFC 2131 4.3.2): only 53, 54, a word for people, the client's identity, the relay's mark."""
    options = {53: bytes((MessageType.NAK,)), 54: pack("!I", server), 56: reason.encode("ascii", "replace")[:120]}
    if request.client_id:
        options[61] = request.client_id
    if request.relay is not None:
        options[82] = request.relay.raw
    # a relay broadcasts a NAK, for the client may believe in an address of another network
    flags = request.flags | 0x8000 if request.giaddr else request.flags
    return Reply(MessageType.NAK, giaddr=request.giaddr, flags=flags, options=options)


def _network_options(
    options: dict[int, bytes], request: Request, network: Network, hostname: str, lease_time: int
) -> None:
    """What the client asked for, in its order (RFC 2131 4.3.1); the mask always, and first where a router follows."""
    known = dict(network.options)
    if hostname:
        known[12] = hostname.encode("ascii")
    if lease_time:
        known[58] = pack("!I", lease_time // 2)
        known[59] = pack("!I", lease_time * 7 // 8)
    options[1] = known.pop(1)
    asked = request.parameters or tuple(known)
    for code in asked:
        if code in known:
            options[code] = known[code]
    if request.boots and 3 in known:
        options.setdefault(3, known[3])


def _boot_options(
    options: dict[int, bytes],
    request: Request,
    network: Network,
    boot_file: str,
    boot_file_size: int | None,
    quirk: Quirk,
    vendor: Mapping[int, bytes] | None,
) -> None:
    name = boot_file.encode("utf-8", "surrogateescape")
    options.update(vendor_options(request, quirk) if vendor is None else vendor)
    if request.firmware is Firmware.HTTP_BOOT:
        options[67] = name
    else:
        options[66] = dotted(network.next_server).encode("ascii")
        # some ROMs read the value as a C string: netboot.xyz #1198
        options[67] = name + b"\0" if quirk.terminated else name
    if boot_file_size is not None and 13 in request.parameters:
        options[13] = pack("!H", min((boot_file_size + 511) // 512, 0xFFFF))
    if request.uuid:
        options[97] = b"\0" + request.uuid


def vendor_options(request: Request, quirk: Quirk) -> dict[int, bytes]:
    """Options 43, 60 and 175 for a client that is answered by its only server; see the table above."""
    if quirk.menu:
        menu = pack("!HB", 0, len(quirk.menu)) + quirk.menu
        parts = [(pxe.DISCOVERY_CONTROL, b"\x03"), (pxe.BOOT_MENU, menu), (pxe.MENU_PROMPT, b"\0PXE")]
        return {43: pxe.encapsulate(parts), 60: pxe.PXE_CLIENT}
    if request.firmware is Firmware.HTTP_BOOT:
        return {60: pxe.HTTP_CLIENT}
    if request.firmware is Firmware.IPXE:
        return {60: pxe.PXE_CLIENT, 175: pxe.NO_PXE_DHCP}
    if request.architecture in (None, BIOS):
        return {43: pxe.SKIP_DISCOVERY, 60: pxe.PXE_CLIENT}
    return {}
