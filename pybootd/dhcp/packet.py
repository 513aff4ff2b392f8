"""
BOOTP and DHCP packets: bytes to values and back (RFC 951, 1542, 2131, 2132, 3396).

L{decode} checks everything once, so that nobody behind it has to; L{encode} writes a reply into as few bytes as its
client can be trusted to read.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct

from attrs import frozen

from pybootd.dhcp.decision import Reply
from pybootd.dhcp.request import Request
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


def encode(reply: Reply, request: Request, mtu: int = 1500) -> bytes:
    """
    Write a reply to a request.

    The client reads as much as option 57 promised, but no more than the path carries, and 548 bytes in any case
    (RFC 2131 2: a message of 576 with its IP and UDP headers).  What does not fit goes into C{file} and C{sname} where
    those are free and the client is no boot ROM (many do not read option 52), and else is left out, the last first: the
    order of C{reply.options} is the order of importance.
    """
    limit = min(max(request.max_size, 576), mtu) - 28
    body = b"".join(map(_piece, reply.options.items()))
    sname, file = reply.sname, reply.file
    if HEADER.size + 4 + len(body) + 1 > limit:
        body, file, sname = _squeezed(reply, limit - HEADER.size - 5, overload=not request.boots)
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
    return (head + COOKIE + body + b"\xff").ljust(MINIMUM, b"\0")


def _piece(option: tuple[int, bytes]) -> bytes:
    code, value = option
    size = len(value)
    if size < 256:
        return bytes((code, size)) + value
    cut = (value[at : at + 255] for at in range(0, size, 255))
    return b"".join(bytes((code, len(piece))) + piece for piece in cut)


def _squeezed(reply: Reply, room: int, overload: bool) -> tuple[bytes, bytes, bytes]:
    """The options' field, C{file} and C{sname} of a reply that is too long; option 82 always stays, and last."""
    pieces = [(code, _piece((code, value))) for code, value in reply.options.items() if code != RELAY_AGENT]
    relay = b"".join(_piece((82, value)) for code, value in reply.options.items() if code == RELAY_AGENT)
    free = [("file", 127)] if overload and not reply.file else []
    free += [("sname", 63)] if overload and not reply.sname else []
    room -= len(relay) + (3 if free else 0)
    fields = {"options": room, **dict(free)}
    filled = dict.fromkeys(fields, b"")
    for _, piece in pieces:
        for name, size in fields.items():
            if len(filled[name]) + len(piece) <= size:
                filled[name] += piece
                break
    used = [name for name, _ in free if filled[name]]
    marker = bytes((OVERLOAD, 1, sum({"file": 1, "sname": 2}[name] for name in used))) if used else b""
    ended = {name: filled[name] + b"\xff" for name in used}
    # 53 stays first: some ROMs look for it there only
    body = filled["options"][:3] + marker + filled["options"][3:] + relay
    return body, ended.get("file", reply.file), ended.get("sname", reply.sname)
