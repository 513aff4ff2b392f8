"""
BOOTP and DHCP packets: bytes to values and back (RFC 951, 1542, 2131, 2132, 3396).

L{decode} checks everything once, so that nobody behind it has to; L{encode} writes a reply into as few bytes as its
client can be trusted to read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from struct import Struct

from attrs import frozen

from pybootd.dhcp.decision import Reply
from pybootd.errors import MalformedPacket

COOKIE = b"\x63\x82\x53\x63"
HEADER = Struct("!BBBBIHHIIII16s64s128s")
BOOTREQUEST, BOOTREPLY = 1, 2
PAD, OVERLOAD, MESSAGE_TYPE, RELAY_AGENT, END = 0, 52, 53, 82, 255
MINIMUM = 300
"""Bytes: old relays and ROMs drop shorter packets (RFC 1542 2.1)."""


@frozen
class Packet:
    """A request as it stands on the wire, checked but not yet understood."""

    op: int
    htype: int
    hlen: int
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
    file: bytes
    options: Mapping[int, bytes]
    """Values as they came, pieces of one option joined (RFC 3396)."""
    dhcp: bool
    """It has the cookie and option 53."""


def decode(datagram: bytes) -> Packet:
    """
    Read a packet.

    @raise MalformedPacket: it is none.
    """
    if len(datagram) < HEADER.size:
        raise MalformedPacket(f"{len(datagram)} bytes are too few for BOOTP")
    op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file = HEADER.unpack_from(
        datagram
    )
    if op not in (BOOTREQUEST, BOOTREPLY):
        raise MalformedPacket(f"op {op} is neither request nor reply")
    if hlen > 16:
        raise MalformedPacket(f"hlen {hlen}: more than the field holds")
    options: dict[int, bytes] = {}
    if datagram[236:240] == COOKIE:
        _read(datagram, 240, options)
        overload = options.get(OVERLOAD)
        if overload:
            if overload[0] & 1:
                _read(file, 0, options)
                file = b""
            if overload[0] & 2:
                _read(sname, 0, options)
                sname = b""
    return Packet(
        op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr[:hlen], sname, file, options,
        MESSAGE_TYPE in options,
    )  # fmt: skip


def _read(data: bytes, at: int, options: dict[int, bytes]) -> None:
    """One field of options, into C{options}; a missing END is forgiven, an overrun is not."""
    size = len(data)
    while at < size:
        code = data[at]
        if code == PAD:
            at += 1
            continue
        if code == END:
            return
        if at + 1 >= size:
            raise MalformedPacket(f"option {code} has no length")
        end = at + 2 + data[at + 1]
        if end > size:
            raise MalformedPacket(f"option {code} runs over the end")
        value = data[at + 2 : end]
        before = options.get(code)
        options[code] = value if before is None else before + value
        at = end


def encode(request: Packet | None, reply: Reply, *, xid: int, chaddr: bytes, htype: int, limit: int = 576) -> bytes:
    """
    Write a reply.

    @param limit: bytes that the client reads, UDP payload: option 57 capped at the path (RFC 2131 2).
    """
    head = HEADER.pack(
        BOOTREPLY, htype, len(chaddr), 0, xid, 0, reply.flags, reply.ciaddr, reply.yiaddr, reply.siaddr, reply.giaddr,
        chaddr, reply.sname, reply.file,
    )  # fmt: skip
    body = b"".join(_pieces(reply.options)) + b"\xff"
    return (head + COOKIE + body).ljust(MINIMUM, b"\0")


def _pieces(options: Mapping[int, bytes]) -> Iterator[bytes]:
    for code, value in options.items():
        if len(value) < 256:
            yield bytes((code, len(value))) + value
        else:
            for at in range(0, len(value), 255):
                piece = value[at : at + 255]
                yield bytes((code, len(piece))) + piece
