"""
A whole DHCP server, and strangers that say anything in any order: nobody gets what belongs to somebody else.

A machine with an address of its own boots before and after; what is between is the enemy's.
"""

from __future__ import annotations

from struct import pack

from pybootd.events import Declined
from tests.fuzz.support import no_failures
from tests.support.captures import CAPTURES
from tests.support.dhcp import ACK, BIOS, DECLINE, DISCOVER, MAC, RELEASE, REQUEST, USUAL, datagram, number
from tests.support.server import Server

FIXED = bytes.fromhex("52540000feed")
TEXT = USUAL.replace("[bootpd]", "[bootpd]\nallow_simple_dhcp = yes")
EXTRA = "[static_dhcp]\n52-54-00-00-FE-ED = 10.0.0.7\n[subnet 10.9.0.0/16]\npool_start = 10.9.0.10\npool_count = 3\n"
MOST = 40
"""Datagrams of one conversation."""


def said(*datagrams: bytes, way: int = 0) -> bytes:
    """A conversation as L{one} reads it."""
    return b"".join(pack("!BBH", way, 1, len(data)) + data for data in datagrams)


_CHOSEN = {**BIOS, 50: pack("!I", number("10.0.0.100")), 54: pack("!I", number("10.0.0.1"))}
_FOREIGN = {**BIOS, 50: pack("!I", number("10.0.0.7")), 54: pack("!I", number("10.0.0.1"))}
SEEDS = (
    said(datagram(DISCOVER, BIOS), datagram(REQUEST, _CHOSEN)),
    said(datagram(REQUEST, _FOREIGN), datagram(DECLINE, _FOREIGN)),
    said(datagram(RELEASE, {54: b"\x0a\0\0\1"}, ciaddr="10.0.0.7"), way=1),
    said(datagram(DISCOVER, BIOS, giaddr="10.9.0.2"), datagram(REQUEST, _CHOSEN, giaddr="10.9.0.2")),
    said(*(capture.data for capture in CAPTURES[:4])),
)


def one(data: bytes) -> None:
    """C{data} is datagrams, each after a way (1), seconds until the next (1) and a length (2)."""
    with no_failures():
        server = Server(TEXT, EXTRA)
        own = server.obtain(BIOS, mac=FIXED).address
        at, owners = 0, {own: FIXED}
        for _ in range(MOST):
            if at + 4 > len(data):
                break
            way, pause, size = data[at], data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
            at += 4 + size
            _say(server, data[at - size : at].replace(FIXED, MAC), way, owners)
            server.clock.advance(pause)
        assert server.obtain(BIOS, mac=FIXED).address == own, "a known machine lost its address"


def _say(server: Server, datagram: bytes, way: int, owners: dict[int, bytes]) -> None:
    """
    One datagram of a stranger, who may take any name but that of the machine that is known.

    @param owners: who was given which address last, by what was sent alone.
    """
    before, declined = len(server.wire.sent), len(server.told(Declined))
    source = ("10.0.0.100", 68) if way & 1 else ("0.0.0.0", 68)
    to = number("10.0.0.1") if way & 2 else number("255.255.255.255")
    server.dhcp.received(datagram, source, to, 3 if way & 4 else 2, 4011 if way & 8 else 67)
    server.clock.advance(0)
    for event in server.told(Declined)[declined:]:
        owners.pop(int(event.address or 0), None)
    sent = server.wire.sent[before:]
    assert len(sent) <= 2, "more answers than a question may have"
    for one in sent:
        if one.address and (one.kind == ACK or not one.packet.dhcp):
            owner = owners.setdefault(one.address, one.packet.chaddr)
            assert owner == one.packet.chaddr, "an ACK for what another has"
            lease = server.table.at(one.address)
            assert lease is not None, "an ACK without a lease"
