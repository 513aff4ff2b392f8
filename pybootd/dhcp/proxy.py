"""
proxyDHCP: boot information beside another server's addresses (PXE 2.1, 2.2.2), never an address.

Which form a client believes differs by firmware: L{pybootd.dhcp.quirks.FORMS} has them.  One DISCOVER may be answered
by two offers of different form.
"""

from __future__ import annotations

from struct import pack

from attrs import evolve

from pybootd.dhcp import pxe
from pybootd.dhcp.answer import answer
from pybootd.dhcp.bootfile import boot_file, offers
from pybootd.dhcp.decision import Decision, MessageType
from pybootd.dhcp.facts import Situation
from pybootd.dhcp.quirks import BOOT_SERVER
from pybootd.dhcp.request import Kind


def proxied(situation: Situation) -> Decision:
    """What a proxy answers: an OFFER without an address, or the ACK of port 4011."""
    request = situation.request
    if request.kind not in (Kind.DISCOVER, Kind.BOOT_SERVER):
        silence = situation.silent("a proxy leaves this to the server that gives the addresses", routine=True)
        # the only way to know the machine again when it fetches its files
        return evolve(silence, uses=address_of(situation))
    if not request.boots:
        return situation.silent("a proxy answers machines that boot from the network, no others", routine=True)
    choice = boot_file(situation)
    if choice.reason:
        return situation.silent(choice.reason, choice.origin)
    if request.kind is Kind.BOOT_SERVER:
        return evolve(boot_server(situation, choice.file), uses=address_of(situation))
    told = offers(situation, choice)
    for form in told:
        situation.note("form", form.name)
    replies = tuple(answer(situation, MessageType.OFFER, form=form, file=choice.told(form)) for form in told)
    situation.note("answer", "an OFFER without an address" if len(replies) == 1 else "two OFFERs without an address")
    return situation.answered(*replies)


def address_of(situation: Situation) -> int:
    """The address that a machine says it will have, or has; 0 where that is no business of ours."""
    request = situation.request
    ends = request.kind in (Kind.DECLINE, Kind.RELEASE, Kind.BOOTP)
    return 0 if ends or not (request.boots or situation.facts.booted) else request.ciaddr or request.requested


def boot_server(situation: Situation, file: str) -> Decision:
    """The ACK of port 4011 (PXE 2.1, 2.2.3): the file, and the chosen menu item repeated."""
    request = situation.request
    form = situation.quirk.form or BOOT_SERVER
    vendor = {}
    if request.menu_item is not None:
        vendor[43] = pxe.encapsulate([(pxe.BOOT_ITEM, pack("!HH", *request.menu_item))])
    situation.note("answer", f"port 4011 names {file}")
    return situation.answered(answer(situation, MessageType.ACK, form=form, file=file, vendor=vendor))
