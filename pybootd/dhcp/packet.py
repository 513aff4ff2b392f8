"""
BOOTP and DHCP packets: bytes to values and back (RFC 951, 1542, 2131, 2132, 3396).

L{decode} checks everything once, so that nobody behind it has to; L{encode} writes a reply into as few bytes as its
client can be trusted to read.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import NamedTuple

from pybootd.dhcp.decision import Common, Reply
from pybootd.dhcp.request import Kind, Request
from pybootd.errors import MalformedPacket

HEADER = Struct("!BBBBIHHIIII16s64s128s")
COOKIE = b"\x63\x82\x53\x63"
FIXED = HEADER.size + len(COOKIE)
BOOTREQUEST, BOOTREPLY = 1, 2
PAD, OVERLOAD, MESSAGE_TYPE, SERVER, CLIENT_ID, RELAY_AGENT, END = 0, 52, 53, 54, 61, 82, 255
IN_FILE, IN_SNAME = 1, 2
"""Bits of option 52: options go on in these fields (RFC 2132 9.3)."""

LARGEST = 4096
"""Bytes: no client may send more than 576 unasked (RFC 2131 2), so whatever is longer than this means harm."""

MINIMUM = 300
"""Bytes: old relays and ROMs drop shorter packets (RFC 1542 2.1)."""

HEADERS = 28
"""Bytes of the IP and UDP headers, which option 57 counts."""

USUAL, MTU = 576, 1500
"""Bytes with those headers: what every DHCP client reads (RFC 2131 2), and what the path carries in one piece."""

NEEDED = 128
"""Bytes of options without which no answer is of use to anybody: an ordinary lease, and the name of a boot file; at
most half of the room, for BOOTP has little."""

_FOREMOST = {MESSAGE_TYPE: 0, SERVER: 1, CLIENT_ID: 2}
"""What comes first where not all has room: RFC 6842 3 lets a client drop an answer without its identifier."""


class Packet(NamedTuple):
    """A packet as it stands on the wire, checked but not yet understood; a tuple, for one is made of every datagram."""

    op: int
    htype: int
    hops: int
    xid: int
    secs: int
    flags: int
    ciaddr: int
    yiaddr: int
    siaddr: int
    giaddr: int
    chaddr: bytes
    """As many bytes as hlen says."""
    sname: bytes
    """Empty where it holds options."""
    file: bytes
    """Empty where it holds options."""
    options: Mapping[int, bytes]
    """Values as they came, pieces of one option joined (RFC 3396)."""
    size: int
    """Bytes of the whole."""

    @property
    def dhcp(self) -> bool:
        """It is DHCP; else BOOTP."""
        return MESSAGE_TYPE in self.options


def decode(datagram: bytes) -> Packet:
    """
    Read a packet.

    @raise MalformedPacket: it is none.
    """
    size = len(datagram)
    if not HEADER.size <= size <= LARGEST:
        raise MalformedPacket(f"{size} bytes are no BOOTP packet")
    op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file = HEADER.unpack_from(
        datagram
    )
    if op not in (BOOTREQUEST, BOOTREPLY):
        raise MalformedPacket(f"op {op} is neither request nor reply")
    if hlen > len(chaddr):
        raise MalformedPacket(f"hlen {hlen} is more than chaddr holds")
    options: dict[int, bytes] = {}
    if datagram[HEADER.size : FIXED] == COOKIE:
        _read(datagram, FIXED, options)
        overload = options.get(OVERLOAD)
        if overload:
            areas = overload[0]
            if areas & IN_FILE:
                _read(file, 0, options)
                file = b""
            if areas & IN_SNAME:
                _read(sname, 0, options)
                sname = b""
    return Packet(
        op, htype, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr[:hlen], sname, file, options, size
    )


def _read(data: bytes, at: int, options: dict[int, bytes]) -> None:
    """One area of options, into C{options}; a missing END is forgiven, an overrun is not."""
    size = len(data)
    while at < size:
        code = data[at]
        if code == END:
            return
        if code == PAD:
            at += 1
            continue
        begin = at + 2
        at = begin + data[at + 1] if begin <= size else begin
        if at > size:
            raise MalformedPacket(f"option {code} runs over the end")
        value = data[begin:at]
        options[code] = options[code] + value if code in options else value


def encode(reply: Reply, request: Request) -> bytes:
    """
    Write a reply to a request.

    What does not fit into as much as the client reads goes into C{file} and C{sname} where those are free and the
    client is no boot ROM (many do not read option 52); else it is left out.  The order of the options is the order of
    importance, but for the client's identity, which it may insist on.
    """
    room = _limit(request) - FIXED - 1
    body, sname, file = _body(reply), reply.sname, reply.file
    if len(body) > room:
        body, sname, file = _squeezed(reply, room, overload=not request.boots)
    head = HEADER.pack(
        BOOTREPLY,
        request.htype,
        len(request.chaddr),
        0,
        request.xid,
        0,
        reply.flags,
        reply.ciaddr,
        reply.yiaddr,
        reply.siaddr,
        reply.giaddr,
        request.chaddr,
        sname,
        file,
    )
    return b"".join((head, COOKIE, body, b"\xff")).ljust(MINIMUM, b"\0")


def _limit(request: Request) -> int:
    """How many bytes the client reads: what it says, but no more than the path carries in one piece."""
    if request.kind is Kind.BOOTP:
        # 300 bytes (RFC 951, 1542 2.1), unless it writes more itself
        return min(max(request.max_size - HEADERS, MINIMUM), MTU - HEADERS)
    return (USUAL if request.max_size <= USUAL else min(request.max_size, MTU)) - HEADERS


def _body(reply: Reply) -> bytes:
    """All options; those that many replies have in common are written once."""
    common = reply.options
    if not isinstance(common, Common):
        body = bytes(_written(common))
    else:
        if not common.area:
            common.area = bytes(_written(common))
        body = common.area
    return body + _written(reply.own) if reply.own else body


def _written(options: Mapping[int, bytes]) -> bytearray:
    """Options one after the other, long ones in pieces (RFC 3396)."""
    area = bytearray()
    for code, value in options.items():
        while len(value) > 255:
            area += bytes((code, 255))
            area += value[:255]
            value = value[255:]
        area.append(code)
        area.append(len(value))
        area += value
    return area


def _squeezed(reply: Reply, room: int, overload: bool) -> tuple[bytes, bytes, bytes]:
    """
    Options, sname and file of a reply whose options' own area has no more than C{room}.

    The relay's option goes last, and nowhere else than into that area; one that leaves no room there for what the
    client needs is left out (RFC 3046 2.2).
    """
    options = reply.told
    relay = _written({RELAY_AGENT: options.pop(RELAY_AGENT)}) if RELAY_AGENT in options else b""
    if room - len(relay) < min(NEEDED, room // 2):
        relay = b""
    body, file, sname = bytearray(), bytearray(), bytearray()
    areas = [(body, room - len(relay) - (3 if overload else 0))]
    if overload and not reply.file:
        areas.append((file, 127))
    if overload and not reply.sname:
        areas.append((sname, 63))
    for code in sorted(options, key=lambda code: _FOREMOST.get(code, len(_FOREMOST))):
        option = _written({code: options[code]})
        for area, size in areas:
            if len(area) + len(option) <= size:
                area += option
                break
    used = (IN_FILE if file else 0) | (IN_SNAME if sname else 0)
    if used:
        body[3:3] = bytes((OVERLOAD, 1, used))  # behind 53, which some ROMs look for in the first place only
    body += relay
    return bytes(body), bytes(sname) + b"\xff" if sname else reply.sname, bytes(file) + b"\xff" if file else reply.file
