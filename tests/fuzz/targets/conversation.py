"""
A whole DHCP server, and strangers that say anything in any order: nobody gets what belongs to somebody else.

A machine with an address of its own boots before and after; what is between is the enemy's.
"""

from __future__ import annotations

from struct import pack

from pybootd.dhcp.request import INFINIBAND
from pybootd.events import Declined, Released
from pybootd.machine import mac_text
from tests.fuzz.support import no_failures
from tests.support.captures import CAPTURES
from tests.support.dhcp import (
    ACK,
    BIOS,
    BROADCAST,
    DECLINE,
    DISCOVER,
    MAC,
    RELEASE,
    REQUEST,
    SYSTEM,
    USUAL,
    datagram,
    number,
)
from tests.support.server import Server

FIXED = bytes.fromhex("52540000feed")
TEXT = USUAL.replace("[bootpd]", "[bootpd]\nallow_simple_dhcp = yes")
EXTRA = "[static_dhcp]\n52-54-00-00-FE-ED = 10.0.0.7\n[subnet 10.9.0.0/16]\npool_start = 10.9.0.10\npool_count = 3\n"
MOST = 40
"""Datagrams of one conversation."""

ADDRESSES = ("0.0.0.0", "10.0.0.7", "10.0.0.100", "10.0.0.101", "10.0.0.102", "10.9.0.10", "10.0.0.1", "192.0.2.1")
OURS, OTHERS, USES, SYSTEMS, RELAYED = 1, 2, 4, 8, 16
"""How a message is said: naming this server, or another; of an address in ciaddr; by a system; through a relay."""


def said(*datagrams: bytes, way: int = 0) -> bytes:
    """A conversation as L{one} reads it."""
    return b"".join(pack("!BBH", way, 1, len(data)) + data for data in datagrams)


def meant(*messages: tuple[int, int, int, int], way: int = 0, pause: int = 1) -> bytes:
    """The same in few bytes: for each message its type, machine, address and manner."""
    return b"".join(pack("!BBH4B", way, pause, 0, *message) for message in messages)


def _spoken(kind: int, who: int, address: int, manner: int) -> bytes:
    """The datagram of such a message."""
    options = dict(SYSTEM if manner & SYSTEMS else BIOS)
    wanted = ADDRESSES[address % len(ADDRESSES)]
    if address and not manner & USES:
        options[50] = pack("!I", number(wanted))
    if manner & (OURS | OTHERS):
        options[54] = pack("!I", number("10.0.0.1" if manner & OURS else "10.0.0.200"))
    return datagram(
        kind % 9 or None,
        options,
        mac=MAC[:5] + bytes((who % 5,)),
        ciaddr=wanted if manner & USES else "0.0.0.0",
        giaddr="10.9.0.2" if manner & RELAYED else "0.0.0.0",
        flags=BROADCAST,
    )


_FIRST = [(DISCOVER, 1, 0, 0), (REQUEST, 1, 2, OURS)]
SEEDS = (
    said(*(capture.data for capture in CAPTURES[:4])),
    said(datagram(DISCOVER, BIOS), datagram(REQUEST, {**BIOS, 50: b"\x0a\0\0\x64", 54: b"\x0a\0\0\1"})),
    meant(*_FIRST, (DISCOVER, 2, 2, 0), (REQUEST, 2, 2, OURS), (REQUEST, 2, 2, USES), (DECLINE, 2, 2, OURS)),
    meant(*_FIRST, (RELEASE, 2, 2, USES | OURS), (REQUEST, 2, 2, 0), (DISCOVER, 2, 0, 0), (REQUEST, 2, 3, OURS)),
    meant((DISCOVER, 1, 0, 0), (DISCOVER, 2, 2, 0), (REQUEST, 2, 2, OURS), (REQUEST, 1, 2, OURS)),
    meant((REQUEST, 1, 1, OURS), (DECLINE, 1, 1, OURS), (RELEASE, 1, 1, USES), (DISCOVER, 1, 1, 0)),
    meant((DISCOVER, 1, 0, RELAYED), (REQUEST, 1, 5, OURS | RELAYED), (REQUEST, 2, 5, RELAYED), way=4),
    meant(*_FIRST, (REQUEST, 1, 2, OTHERS), (REQUEST, 1, 2, USES | SYSTEMS), (RELEASE, 1, 2, USES), way=3, pause=200),
)


def one(data: bytes) -> None:
    """C{data} is datagrams, each after a way (1), seconds until the next (1) and a length (2); 0: see L{meant}."""
    with no_failures():
        server = Server(TEXT, EXTRA)
        own = server.obtain(BIOS, mac=FIXED).address
        at, owners = 0, {own: FIXED}
        for _ in range(MOST):
            if at + 8 > len(data):
                break
            way, pause, size = data[at], data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
            words = data[at + 4 : at + 4 + (size or 4)]
            at += 4 + (size or 4)
            _say(server, words.replace(FIXED, MAC) if size else _spoken(*words), way, owners)
            server.clock.advance(pause)
        assert server.obtain(BIOS, mac=FIXED).address == own, "a known machine lost its address"


def _say(server: Server, datagram: bytes, way: int, owners: dict[int, bytes]) -> None:
    """
    One datagram of a stranger, who may take any name but that of the machine that is known.

    @param owners: who was given which address last, by what was sent alone.
    """
    before, told = len(server.wire.sent), len(server.events)
    source = ("10.0.0.100", 68) if way & 1 else ("0.0.0.0", 68)
    to = number("10.0.0.1") if way & 2 else number("255.255.255.255")
    server.dhcp.received(datagram, source, to, 3 if way & 4 else 2, 4011 if way & 8 else 67)
    server.clock.advance(0)
    for event in server.events[told:]:
        if isinstance(event, (Declined, Released)):
            _ended(int(event.address or 0), event, owners)
    sent = server.wire.sent[before:]
    assert len(sent) <= 2, "more answers than a question may have"
    for one in sent:
        if one.address and (one.kind == ACK or not one.packet.dhcp):
            lease = server.table.at(one.address)
            assert lease is not None, "an ACK without a lease"
            whose = lease.key if one.packet.htype == INFINIBAND else one.packet.chaddr
            assert owners.setdefault(one.address, whose) == whose, "an ACK for what another has"
    for address, owner in owners.items():
        lease = server.table.at(address)
        assert lease is not None, "a lease that was forgotten"
        assert lease.key == owner, "a lease that went to another"


def _ended(address: int, event: Declined | Released, owners: dict[int, bytes]) -> None:
    """A lease ended before its time: by its own machine only."""
    assert mac_text(owners.get(address, b"")) in ("", event.mac), "another's lease was ended"
    if isinstance(event, Declined):
        owners.pop(address, None)
