"""
The fields and options of a reply, once it is decided that there is one (RFC 2131 4.3.1, table 3; RFC 2132).

How a client that boots is told what to load stands in L{pybootd.dhcp.quirks}.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from struct import pack
from types import MappingProxyType

from pybootd.config import FOREVER
from pybootd.dhcp.decision import Common, MessageType, Reply
from pybootd.dhcp.facts import Situation
from pybootd.dhcp.options import dotted
from pybootd.dhcp.pxe import HTTP_CLIENT
from pybootd.dhcp.quirks import Form
from pybootd.dhcp.request import Kind
from pybootd.dhcp.settings import Network
from pybootd.machine import Firmware

LONG_NAME = 127
"""Bytes that C{file} holds beside its NUL."""

BROADCAST = 0x8000

NOTHING: Mapping[int, bytes] = MappingProxyType({})


def answer(
    situation: Situation,
    type: MessageType,
    *,
    address: int = 0,
    lease_time: int = 0,
    form: Form | None = None,
    file: str = "",
    vendor: Mapping[int, bytes] = NOTHING,
) -> Reply:
    """
    A reply that serves.

    @param address: yiaddr; 0 where another server gives addresses, or the client has one.
    @param lease_time: seconds; 0: no lease is spoken of.
    @param form: how the client is told what to load; None where it does not boot.
    @param vendor: options that replace those of the form.
    """
    request, network, facts = situation.request, situation.network, situation.facts
    named = file.encode("utf-8", "surrogateescape") if form is not None and form.names_file else b""
    spoken = bool(address) or request.kind in (Kind.INFORM, Kind.BOOTP)
    router = request.giaddr if network.relay_routes and request.giaddr in network else 0
    plain = request.firmware is Firmware.HTTP_BOOT or not situation.quirk.terminated
    options = common_options(
        network if spoken else None,
        network.next_server,
        type,
        situation.server,
        lease_time,
        router,
        request.boots,
        request.parameters,
        form,
        named,
        plain,
    )
    own = {}
    if spoken and situation.hostname and (12 in request.parameters or not request.parameters):
        own[12] = situation.hostname.encode("ascii")
    if form is not None:
        if vendor:
            options = {**options, **vendor}
        if facts.boot_file_size is not None and named and 13 in request.parameters:
            own[13] = pack("!H", min((facts.boot_file_size + 511) // 512, 0xFFFF))
        if request.uuid:
            own[97] = b"\0" + request.uuid
    if request.subnet and address and request.subnet in network:
        own[118] = pack("!I", request.subnet)  # RFC 3011: what was used is said; a relay's word counts more
    _identity(own, situation, type)
    return Reply(
        type,
        yiaddr=address,
        ciaddr=request.ciaddr if type in (MessageType.ACK, MessageType.BOOTP) else 0,
        siaddr=network.next_server,
        giaddr=request.giaddr,
        flags=request.flags,
        sname=situation.settings.server_name if form is not None else b"",
        file=named if len(named) <= LONG_NAME else b"",
        options=options,
        own=own,
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


@lru_cache(1024)
def common_options(
    network: Network | None,
    next_server: int,
    type: MessageType,
    server: int,
    lease_time: int,
    router: int,
    boots: bool,
    parameters: tuple[int, ...],
    form: Form | None,
    name: bytes,
    plain: bool,
) -> Mapping[int, bytes]:
    """
    What all are told that ask alike: a template, of which a machine's reply differs in its own options only.

    Everything that it is made of is an argument, and a network is another object under other settings.

    @param network: None where nothing is said of it.
    @param name: the file's, as L{form_options} has it.
    """
    options = {}
    if type is not MessageType.BOOTP:
        options = {53: bytes((type,)), 54: pack("!I", server)}
    if network is not None:
        options.update(network_options(network, lease_time, router, boots, parameters))
    if form is not None:
        options.update(form_options(form, next_server, name, plain, 150 in parameters))
    return Common(options)


def network_options(
    network: Network, lease_time: int, router: int, boots: bool, parameters: tuple[int, ...]
) -> Mapping[int, bytes]:
    """
    What a network's machines are told, the same for all that ask alike.

    What the client asked for comes in its order (RFC 2131 4.3.1); all of it where it did not say.  The mask always
    comes, before the router (RFC 2132 3.3); who boots gets router and name servers too, for not every ROM asks for
    them, and a URL with a name in it is of no use without.

    @param router: the relay, where that is the router; else 0.
    """
    known = dict(network.options)
    if router:
        known[3] = pack("!I", router)
    if 0 < lease_time < FOREVER:
        known[58] = pack("!I", lease_time // 2)
        known[59] = pack("!I", lease_time * 7 // 8)
    first = (1, 3, 6) if boots else (1,)
    told = {51: pack("!I", lease_time)} if lease_time else {}
    told |= {code: known[code] for code in first if code in known}
    told |= {code: known[code] for code in parameters or known if code in known}
    # asked for or not: RFC 2131 4.4.5 wants T1 and T2 to be the server's
    return told | {code: known[code] for code in (58, 59) if code in known}


def form_options(form: Form, next_server: int, name: bytes, plain: bool, cisco: bool) -> Mapping[int, bytes]:
    """
    How a client is told what to load.

    @param name: of the file; empty where it is not named here.
    @param plain: without the NUL at the name's end.
    @param cisco: it asks for option 150.
    """
    told = dict(form.options)
    # HTTP boot has its server in the URL
    if HTTP_CLIENT not in told.values():
        told[66] = dotted(next_server).encode("ascii")
    if cisco:
        told[150] = pack("!I", next_server)
    if name:
        # some ROMs read the value as a C string: netboot.xyz #1198
        told[67] = name if plain else name + b"\0"
    return told
