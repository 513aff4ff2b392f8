"""A DHCP datagram: decoded, understood, shown, decided about, answered."""

from __future__ import annotations

from collections.abc import Iterator

from pybootd.dhcp.client import understand
from pybootd.dhcp.decision import Reply
from pybootd.dhcp.delivery import route
from pybootd.dhcp.dump import dump
from pybootd.dhcp.facts import Facts
from pybootd.dhcp.options import LIMIT
from pybootd.dhcp.packet import (
    BOOTREPLY,
    COOKIE,
    END,
    FIXED,
    HEADERS,
    MTU,
    OVERLOAD,
    RELAY_AGENT,
    Packet,
    decode,
    encode,
)
from pybootd.dhcp.policy import decide, network_of
from pybootd.dhcp.request import Request
from pybootd.errors import MalformedPacket
from pybootd.interfaces import Verdict
from tests.fuzz.support import shown
from tests.support.captures import CAPTURES
from tests.support.dhcp import BIOS, DISCOVER, IPXE, REQUEST, datagram, settings

SEEDS = (
    *(capture.data for capture in CAPTURES),
    datagram(DISCOVER, {**BIOS, 82: b"\5\4\x0a\x09\0\0\1\3eth", 57: b"\xff\x00"}, giaddr="10.9.0.2"),
    datagram(REQUEST, {**IPXE, 43: b"\x47\4\0\0\0\0\xff", 50: b"\x0a\0\0\x64", 54: b"\x0a\0\0\1"}),
    datagram(None, {}),
)

LARGE = 28
"""Bytes of a relay's option that have room in the smallest reply, BOOTP's."""

WAYS = ((67, False), (67, True), (4011, True))
"""The server's port, and whether the datagram came to it alone."""

_SETTINGS = (
    settings(extra="[subnet 10.9.0.0/16]\npool_start = 10.9.0.10\n"),
    settings(extra="[subnet 10.9.0.0/16]\npool_start = 10.9.0.10\n[static_dhcp]\n52-54-00-00-00-01 = 10.0.0.7\n"),
)
_ALLOWED = Verdict(True, "")


def one(data: bytes) -> None:
    """C{data} is the datagram."""
    try:
        packet = decode(data)
    except MalformedPacket as error:
        shown(str(error))
        return
    assert len(packet.chaddr) <= 16
    assert packet.options == _options(data)
    for line in dump(packet):
        shown(line, 10 * LIMIT + 100)  # a character takes ten where it has to be escaped
    for port, unicast in WAYS:
        try:
            request = understand(packet, ("10.0.0.100", 68), port, 2, unicast)
        except MalformedPacket as error:
            shown(str(error))
            continue
        for some in _SETTINGS:
            network = network_of(request, some)
            candidate = network.pool_first if network is not None else 0
            decision = decide(request, some, Facts(1000.0, _ALLOWED, candidate=candidate, booted=True))
            shown(decision.reason)
            for step in decision.trace:
                shown(step.rule)
            for reply in decision.replies:
                assert network is not None
                route(request, reply, broadcast=some.broadcast_for(network, request.chaddr), server_port=some.port)
                _answer(packet, request, reply)
            if decision.claim is not None and network is not None:
                assert decision.claim.lease.address in network


def _answer(packet: Packet, request: Request, reply: Reply) -> None:
    """A reply is one that its client knows as an answer, no larger than the path carries, and reads back."""
    written = encode(reply, request)
    assert len(written) <= MTU - HEADERS, len(written)
    back = decode(written)
    assert (back.op, back.xid, back.chaddr, back.htype) == (BOOTREPLY, packet.xid, packet.chaddr, packet.htype)
    assert (back.yiaddr, back.giaddr) == (reply.yiaddr, reply.giaddr)
    if RELAY_AGENT in back.options:
        assert back.options[RELAY_AGENT] == packet.options[RELAY_AGENT]
        assert list(_area(written[FIXED:]))[-1][0] == RELAY_AGENT  # of that area: file and sname may have more
    else:
        relayed = len(packet.options.get(RELAY_AGENT, b""))
        assert RELAY_AGENT not in packet.options or relayed > LARGE, "left out, though it has room"


def _area(rest: bytes) -> Iterator[tuple[int, bytes]]:
    """The options of one area."""
    while rest and rest[0] != END:
        code, rest = rest[0], rest[1:]
        if code:
            size, rest = rest[0], rest[1:]
            assert size <= len(rest), "an option that is cut off"
            yield code, rest[:size]
            rest = rest[size:]


def _options(data: bytes) -> dict[int, bytes]:
    """The options of a packet that was taken, read in another way: whatever is cut off fails here."""
    options: dict[int, bytes] = {}
    if data[236:240] != COOKIE:
        return options

    def area(rest: bytes) -> None:
        for code, value in _area(rest):
            options[code] = options.get(code, b"") + value

    area(data[240:])
    overload = (options.get(OVERLOAD) or b"\0")[0]
    if overload & 1:
        area(data[108:236])
    if overload & 2:
        area(data[44:108])
    return options
