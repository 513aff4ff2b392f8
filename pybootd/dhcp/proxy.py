"""
proxyDHCP: boot information beside another server's addresses (PXE 2.1, 2.2.2), never an address.

Which form a client believes differs by firmware; the offers for one DISCOVER, by what was seen to work:

    ============== =====================================================================================
    BIOS PXE        60, 43 with 6: 8, file: loaded at once
    UEFI PXE        two: the same form (today's EDK2 takes it at once), and a bare one without 43 and file (EDK2 before
                    2017-04 drops the first, edk2 #6944, and asks port 4011 of the second)
    iPXE            60, 43 with 6: 8, file: one only, for it takes the last of equals
    UEFI HTTP       60 HTTPClient, an absolute URL in 67 and file
    Raspberry Pi    60, 43 with its own menu
    ============== =====================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping

from pybootd.dhcp import pxe
from pybootd.dhcp.answer import answer, vendor_options
from pybootd.dhcp.architectures import BIOS
from pybootd.dhcp.decision import Decision, MessageType, Reply
from pybootd.dhcp.facts import Situation
from pybootd.dhcp.request import Kind
from pybootd.machine import Firmware

DIRECT: Mapping[int, bytes] = {60: pxe.PXE_CLIENT, 43: pxe.SKIP_DISCOVERY}
BARE: Mapping[int, bytes] = {60: pxe.PXE_CLIENT}


def proxied(situation: Situation) -> Decision:
    """What a proxy answers: an OFFER without an address, or the ACK of port 4011."""
    request = situation.request
    if request.kind not in (Kind.DISCOVER, Kind.BOOT_SERVER):
        return situation.silent("a proxy leaves this to the server that gives the addresses")
    if not request.boots:
        return situation.silent("a proxy answers machines that boot from the network, no others")
    choice = situation.choose_file()
    if not choice.file:
        return situation.silent(choice.reason, choice.origin)
    if request.kind is Kind.BOOT_SERVER:
        return boot_server(situation, choice.file)
    forms = _forms(situation)
    situation.note("proxy", f"{len(forms)} offer{'s' * (len(forms) > 1)} without an address")
    replies = tuple(_reply(situation, MessageType.OFFER, choice.file, form) for form in forms)
    return Decision(replies=replies, trace=tuple(situation.trace))


def boot_server(situation: Situation, file: str) -> Decision:
    """The ACK of port 4011 (PXE 2.1, 2.2.3): the file, and the chosen menu item repeated."""
    request = situation.request
    vendor = dict(vendor_options(request, situation.quirk)) | {60: pxe.PXE_CLIENT}
    if request.menu_item is not None:
        kind, layer = request.menu_item
        item = kind.to_bytes(2, "big") + layer.to_bytes(2, "big")
        vendor[43] = pxe.encapsulate([(pxe.BOOT_ITEM, item)])
    situation.note("boot server", f"port 4011 names {file}")
    reply = _reply(situation, MessageType.ACK, file, vendor)
    return Decision(replies=(reply,), trace=tuple(situation.trace))


def _forms(situation: Situation) -> tuple[Mapping[int, bytes], ...]:
    request = situation.request
    if situation.quirk.menu or request.firmware is Firmware.HTTP_BOOT:
        return (vendor_options(request, situation.quirk),)
    if request.firmware is Firmware.IPXE or request.architecture in (None, BIOS):
        return (DIRECT,)
    return DIRECT, BARE


def _reply(situation: Situation, type: MessageType, file: str, vendor: Mapping[int, bytes]) -> Reply:
    return answer(
        type,
        situation.request,
        situation.network,
        server=situation.server,
        boot_file="" if vendor is BARE else file,
        boot_file_size=situation.facts.boot_file_size,
        server_name=situation.settings.server_name,
        quirk=situation.quirk,
        vendor=vendor,
    )
