"""
TFTP datagrams as bytes and back: RFC 1350, with the options of RFC 2347.

Nothing else than L{MalformedPacket} escapes from hostile bytes.  What options mean is
said in L{pybootd.tftp.options}; which file a name means, by the content resolver.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import lru_cache
from struct import Struct

from attrs import frozen

from pybootd.errors import MalformedPacket

RRQ, WRQ, DATA, ACK, ERROR, OACK = range(1, 7)

BLOCKSIZE = 512
"""Bytes of a DATA packet when nothing else was agreed (RFC 1350 2)."""

FIELDS = 64
"""NUL-terminated fields of a request that are looked at: 31 options, four times as many as exist."""

ERROR_TEXT = 400
"""Characters of an error message: the packet fits any path."""

LONGEST_NUMBER = 20
"""Digits, as many as 64 bits need."""

LONGEST_REMEMBERED = 512
"""Bytes of a request that is remembered: what RFC 2347 allows, and more than any firmware sends."""

_HEADER = Struct("!HH")
_NUMBER = re.compile(rb"[0-9]+")


class ErrorCode(IntEnum):
    """RFC 1350 appendix; 8 is RFC 2347's."""

    UNDEFINED = 0
    FILE_NOT_FOUND = 1
    ACCESS_VIOLATION = 2
    DISK_FULL = 3
    ILLEGAL_OPERATION = 4
    UNKNOWN_TID = 5
    FILE_EXISTS = 6
    NO_SUCH_USER = 7
    OPTION_REFUSED = 8


@frozen
class Request:
    """A client's RRQ or WRQ."""

    write: bool
    name: bytes
    """As the client wrote it, but for trailing 0xFF: ROMs that read option 67 as a C
    string take its END marker for a letter (netboot.xyz #1198)."""

    mode: str
    """C{octet}, C{netascii} or whatever the client wrote, in lower case."""

    options: Mapping[str, bytes]
    """Names in lower case (RFC 2347: case does not matter); of repeated ones the first counts."""


@frozen
class ClientError:
    """An ERROR that a client sent.  It ends the transfer and is never answered."""

    code: int
    message: bytes


def opcode(datagram: bytes) -> int:
    """The kind of packet; 0, which no packet has, where it is too short to say."""
    return datagram[0] << 8 | datagram[1] if len(datagram) >= 2 else 0


def decode_request(datagram: bytes) -> Request:
    """
    Read an RRQ or a WRQ.

    An option without value, or one that the datagram's end cuts off, is as if it had not
    been said.

    @raise MalformedPacket: it is something else, or has no name or no mode.
    """
    return _remembered(datagram) if len(datagram) <= LONGEST_REMEMBERED else _decoded(datagram)


def _decoded(datagram: bytes) -> Request:
    kind = opcode(datagram)
    if kind not in (RRQ, WRQ):
        raise MalformedPacket(f"opcode {kind} where a request was due")
    name, *fields = datagram[2:].split(b"\0", FIELDS)
    if len(fields) < 2:
        raise MalformedPacket("request without a NUL after name and mode")
    if not name:
        raise MalformedPacket("request without a name")
    mode, *pairs, _ = fields
    options: dict[str, bytes] = {}
    for option, value in zip(pairs[::2], pairs[1::2], strict=False):
        options.setdefault(option.decode("ascii", "replace").lower(), value)
    return Request(kind == WRQ, name.rstrip(b"\xff"), mode.decode("ascii", "replace").lower(), options)


_remembered = lru_cache(maxsize=64)(_decoded)
"""A hall of machines asks with the same bytes, and so does whoever asks again."""


def encode_request(request: Request) -> bytes:
    """An RRQ or WRQ, as a client sends it."""
    kind = WRQ if request.write else RRQ
    fields = [request.name, request.mode.encode()]
    for name, value in request.options.items():
        fields += name.encode(), value
    return kind.to_bytes(2, "big") + b"".join(field + b"\0" for field in fields)


def number(text: bytes, low: int, high: int) -> int | None:
    """
    A decimal number as RFC 2347 writes it: ASCII digits and nothing else.

    @return: None where it is anything else or outside C{low} and C{high}, both included.
    """
    if len(text) > LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    value = int(text)
    return value if low <= value <= high else None


def data(block: int, content: bytes) -> bytes:
    """A DATA packet; C{block} is the absolute number."""
    return _HEADER.pack(DATA, block & 0xFFFF) + content


def ack(block: int) -> bytes:
    """An ACK packet; C{block} is the absolute number."""
    return _HEADER.pack(ACK, block & 0xFFFF)


def oack(options: Iterable[tuple[str, int]]) -> bytes:
    """An OACK packet (RFC 2347)."""
    return OACK.to_bytes(2, "big") + b"".join(b"%s\0%d\0" % (name.encode(), value) for name, value in options)


def error(code: int, message: str) -> bytes:
    """An ERROR packet; what is not ASCII or too long is lost from the message."""
    return _HEADER.pack(ERROR, code) + message[:ERROR_TEXT].encode("ascii", "replace").replace(b"\0", b"?") + b"\0"


def decode_error(datagram: bytes) -> ClientError:
    """Read an ERROR; a short one has code 0 and no message."""
    code = datagram[2] << 8 | datagram[3] if len(datagram) >= 4 else 0
    return ClientError(code, datagram[4:].partition(b"\0")[0])
