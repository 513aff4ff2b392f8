"""
The fields and options of a reply, once it is decided that there is one (RFC 2131 4.3.1, table 3; RFC 2132).

How a client that boots is told what to load stands in L{pybootd.dhcp.quirks}.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import pack

from pybootd.config import FOREVER
from pybootd.dhcp.decision import MessageType, Reply
from pybootd.dhcp.facts import Situation
from pybootd.dhcp.options import dotted
from pybootd.dhcp.quirks import Form
from pybootd.dhcp.request import Kind
from pybootd.machine import Firmware

LONG_NAME = 127
"""Bytes that C{file} holds beside its NUL."""

BROADCAST = 0x8000


def answer(
    situation: Situation,
    type: MessageType,
    *,
    address: int = 0,
    lease_time: int = 0,
    form: Form | None = None,
    file: str = "",
    vendor: Mapping[int, bytes] | None = None,
) -> Reply:
    """
    A reply that serves.

    @param address: yiaddr; 0 where another server gives addresses, or the client has one.
    @param lease_time: seconds; 0: no lease is spoken of.
    @param form: how the client is told what to load; None where it does not boot.
    @param vendor: options that replace those of the form.
    """
    request, network = situation.request, situation.network
    options: dict[int, bytes] = {}
    if type is not MessageType.BOOTP:
        options[53] = bytes((type,))
        options[54] = pack("!I", situation.server)
    if lease_time:
        options[51] = pack("!I", lease_time)
    if address or request.kind in (Kind.INFORM, Kind.BOOTP):
        _network_options(options, situation, lease_time)
    names = form is not None and form.names_file and bool(file)
    if form is not None:
        _boot_options(options, situation, {**form.options, **(vendor or {})}, file if names else "")
    if request.subnet and address:
        options[118] = pack("!I", request.subnet)  # RFC 3011: what was used is said
    _identity(options, situation, type)
    name = file.encode("utf-8", "surrogateescape") if names else b""
    return Reply(
        type,
        yiaddr=address,
        ciaddr=request.ciaddr if type in (MessageType.ACK, MessageType.BOOTP) else 0,
        siaddr=network.next_server,
        giaddr=request.giaddr,
        flags=request.flags,
        sname=situation.settings.server_name if form is not None else b"",
        file=name if len(name) <= LONG_NAME else b"",
        options=options,
        boot_file=file if form is not None else "",
        form=form.name if form is not None else "",
    )


def refusal(situation: Situation, reason: str) -> Reply:
    """A NAK (RFC 2131 4.3.2): only 53, 54, a word for people, the client's identity, the relay's mark."""
    request = situation.request
    options = {
        53: bytes((MessageType.NAK,)),
        54: pack("!I", situation.server),
        56: reason.encode("ascii", "replace")[:120],
    }
    _identity(options, situation, MessageType.NAK)
    # a relay broadcasts a NAK, for the client may believe in an address of another network
    flags = request.flags | BROADCAST if request.giaddr else request.flags
    return Reply(MessageType.NAK, giaddr=request.giaddr, flags=flags, options=options)


def _identity(options: dict[int, bytes], situation: Situation, type: MessageType) -> None:
    """What is repeated as it came: the client's identifier (RFC 6842), the relay's option, which is the last."""
    request = situation.request
    if request.client_id and type is not MessageType.BOOTP:
        options[61] = request.client_id
    if request.relay is not None:
        options[82] = request.relay.raw


def _network_options(options: dict[int, bytes], situation: Situation, lease_time: int) -> None:
    """
    What the client asked for, in its order (RFC 2131 4.3.1); all of it where it did not say.

    The mask always comes, before the router (RFC 2132 3.3); who boots gets router and name servers too, for not every
    ROM asks for them, and an URL with a name in it is of no use without.
    """
    request, network = situation.request, situation.network
    known = dict(network.options)
    options[1] = known.pop(1)
    if network.relay_routes and request.giaddr in network:
        known[3] = pack("!I", request.giaddr)
    if situation.hostname:
        known[12] = situation.hostname.encode("ascii")
    if 0 < lease_time < FOREVER:
        known[58] = pack("!I", lease_time // 2)
        known[59] = pack("!I", lease_time * 7 // 8)
    if request.boots:
        for code in (3, 6):
            if code in known:
                options[code] = known[code]
    for code in request.parameters or known:
        if code in known:
            options[code] = known[code]


def _boot_options(options: dict[int, bytes], situation: Situation, vendor: Mapping[int, bytes], file: str) -> None:
    request, size = situation.request, situation.facts.boot_file_size
    options.update(vendor)
    if request.uuid:
        options[97] = b"\0" + request.uuid
    if request.firmware is not Firmware.HTTP_BOOT:
        options[66] = dotted(situation.network.next_server).encode("ascii")
    if 150 in request.parameters:
        options[150] = pack("!I", situation.network.next_server)
    if not file:
        return
    name = file.encode("utf-8", "surrogateescape")
    # some ROMs read the value as a C string: netboot.xyz #1198
    plain = request.firmware is Firmware.HTTP_BOOT or not situation.quirk.terminated
    options[67] = name if plain else name + b"\0"
    if size is not None and 13 in request.parameters:
        options[13] = pack("!H", min((size + 511) // 512, 0xFFFF))
