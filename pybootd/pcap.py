"""
Recorded traffic: the UDP datagrams of a capture file, as C{tcpdump -w}, Wireshark and dumpcap write it.

Reads pcap (draft-ietf-opsawg-pcap: microseconds and nanoseconds, either byte order) and pcapng
(draft-ietf-opsawg-pcapng).  Frames may be Ethernet with any number of VLAN tags, Linux "cooked" (C{tcpdump -i any}),
bare IP or a BSD loopback's.  Everything else in a capture is passed over.

Pure: reads from a stream that somebody else opened, and holds one packet at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct, unpack_from
from typing import BinaryIO

from attrs import define, frozen

from pybootd.errors import MalformedPacket

LARGEST = 16 << 20
"""Bytes of one record or block; what claims to be longer is damaged."""

INTERFACES = 4096
"""Of one section of pcapng."""

MICROSECONDS, NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
SECTION, INTERFACE, SIMPLE_PACKET, ENHANCED_PACKET = 0x0A0D0D0A, 1, 3, 6
BYTE_ORDER = 0x1A2B3C4D
TIME_RESOLUTION = 9
"""Option C{if_tsresol} of an interface."""

ETHERNET = 1
IPV4, UDP = 0x0800, 17
VLAN_TAGS = (0x8100, 0x88A8, 0x9100)
_UDP = Struct("!HHHH")


class DamagedCapture(MalformedPacket):
    """The file is no capture, or ends in the middle; the message says which."""


@frozen
class Datagram:
    """One UDP datagram of a capture."""

    number: int
    """The packet's number in the capture, from 1, as Wireshark counts."""
    time: float
    """Seconds since the epoch; 0 where the capture does not tell."""
    source: tuple[str, int]
    destination: tuple[str, int]
    data: bytes
    whole: bool = True
    """False where the capture kept the beginning only (its snap length)."""


@define
class _Frame:
    link: int
    time: float
    data: bytes


def datagrams(stream: BinaryIO) -> Iterator[Datagram]:
    """
    The UDP datagrams of a capture, in the order of the file.

    @param stream: the file, at its beginning.
    @raise DamagedCapture: it is no capture, or is damaged; whatever stands before the damage came already.
    """
    for number, frame in enumerate(_frames(stream), 1):
        found = datagram(frame.data, frame.link, number, frame.time)
        if found is not None:
            yield found


def datagram(frame: bytes, link: int = ETHERNET, number: int = 0, time: float = 0.0) -> Datagram | None:
    """The UDP datagram in one frame, if there is one."""
    read = _LINKS.get(link)
    packet = read(frame) if read is not None else None
    return None if packet is None else _datagram(number, time, packet)


def _frames(stream: BinaryIO) -> Iterator[_Frame]:
    magic = stream.read(4)
    if magic == SECTION.to_bytes(4, "big"):
        return _pcapng(stream, magic)
    for order in "<>":
        if len(magic) == 4 and unpack_from(order + "I", magic)[0] in (MICROSECONDS, NANOSECONDS):
            unit = 1e-6 if unpack_from(order + "I", magic)[0] == MICROSECONDS else 1e-9
            return _pcap(stream, order, unit)
    raise DamagedCapture("this is no capture: neither pcap nor pcapng")


def _pcap(stream: BinaryIO, order: str, unit: float) -> Iterator[_Frame]:
    (link,) = unpack_from(order + "I", _exactly(stream, 20), 16)
    head = Struct(order + "IIII")
    while raw := stream.read(head.size):
        seconds, fraction, kept, _ = head.unpack(_full(raw, head.size))
        # the upper bits of the link type hold the length of a checksum behind the frame
        yield _Frame(link & 0xFFFF, seconds + fraction * unit, _exactly(stream, kept))


def _pcapng(stream: BinaryIO, kind: bytes) -> Iterator[_Frame]:
    """Blocks: type, length, body, length again; each section begins with its byte order and its own interfaces."""
    order = "<"
    links: list[tuple[int, float]] = []
    while kind:
        length = _exactly(stream, 4)
        number: int = unpack_from(order + "I", _full(kind, 4))[0]
        body = b""
        if number == SECTION:
            body = _exactly(stream, 4)
            order = next((one for one in "<>" if unpack_from(one + "I", body)[0] == BYTE_ORDER), "")
            if not order:
                raise DamagedCapture("a section of the capture has no byte order")
            links = []
        rest = unpack_from(order + "I", length)[0] - 12 - len(body)
        if rest < 0:
            raise DamagedCapture("a block of the capture is shorter than its own header")
        body += _exactly(stream, rest)
        _exactly(stream, 4)
        if number == INTERFACE:
            if len(body) < 8 or len(links) >= INTERFACES:
                raise DamagedCapture("an interface of the capture cannot be read")
            links.append((unpack_from(order + "H", body)[0], _resolution(body[8:], order)))
        elif number in (ENHANCED_PACKET, SIMPLE_PACKET):
            yield _block(number, body, order, links)
        kind = stream.read(4)


def _block(number: int, body: bytes, order: str, links: list[tuple[int, float]]) -> _Frame:
    """One packet of pcapng; a simple one has no time and comes from the first interface."""
    size = 20 if number == ENHANCED_PACKET else 4
    if len(body) < size:
        raise DamagedCapture("a packet of the capture is shorter than its own header")
    interface = high = low = 0
    kept = len(body)
    if number == ENHANCED_PACKET:
        interface, high, low, kept, _ = unpack_from(order + "5I", body)
    if interface >= len(links):
        raise DamagedCapture("a packet of the capture comes from an interface that it does not describe")
    link, unit = links[interface]
    return _Frame(link, (high << 32 | low) * unit, body[size : size + kept])


def _resolution(options: bytes, order: str) -> float:
    """Seconds of one tick: a power of ten, or of two where the highest bit is set; a microsecond if not said."""
    at = 0
    while at + 4 <= len(options):
        code, length = unpack_from(order + "HH", options, at)
        if code == TIME_RESOLUTION and length >= 1 and at + 4 < len(options):
            power = options[at + 4]
            return float(2.0 ** -(power & 0x7F) if power & 0x80 else 10.0**-power)
        at += 4 + (length + 3 & ~3)
    return 1e-6


def _exactly(stream: BinaryIO, size: int) -> bytes:
    if size > LARGEST:
        raise DamagedCapture(f"a record of the capture claims {size} bytes")
    return _full(stream.read(size), size)


def _full(raw: bytes, size: int) -> bytes:
    if len(raw) < size:
        raise DamagedCapture("the capture ends in the middle of a packet")
    return raw


# from a frame to a datagram


def _ethernet(frame: bytes) -> bytes | None:
    return _untagged(frame, 12)


def _cooked(frame: bytes) -> bytes | None:
    """C{LINKTYPE_LINUX_SLL}: 16 bytes, the protocol last."""
    return _untagged(frame, 14)


def _cooked_2(frame: bytes) -> bytes | None:
    """C{LINKTYPE_LINUX_SLL2}: 20 bytes, the protocol first."""
    return _untagged(frame[:2] + frame[20:], 0)


def _untagged(frame: bytes, at: int) -> bytes | None:
    """What follows the type at C{at}, and any VLAN tags behind it, if that is IPv4 (IEEE 802.1Q)."""
    while at + 2 <= len(frame):
        (kind,) = unpack_from("!H", frame, at)
        if kind not in VLAN_TAGS:
            return frame[at + 2 :] if kind == IPV4 else None
        at += 4
    return None


def _loopback(frame: bytes) -> bytes | None:
    """C{LINKTYPE_NULL} and C{LINKTYPE_LOOP}: four bytes of address family, in anybody's order."""
    return frame[4:] if sorted(frame[:4]) == [0, 0, 0, 2] else None


def _bare(frame: bytes) -> bytes | None:
    return frame


_LINKS: dict[int, Callable[[bytes], bytes | None]] = {
    0: _loopback,
    ETHERNET: _ethernet,
    12: _bare,
    101: _bare,
    108: _loopback,
    113: _cooked,
    228: _bare,
    276: _cooked_2,
}
"""By link type (the registry of tcpdump.org)."""


def _datagram(number: int, time: float, packet: bytes) -> Datagram | None:
    """The UDP datagram of an IPv4 packet (RFC 791, 768); None for anything else, and for fragments."""
    if len(packet) < 20 or packet[0] >> 4 != 4 or packet[9] != UDP:
        return None
    start = (packet[0] & 15) * 4
    total, _, fragment = unpack_from("!HHH", packet, 2)
    if start < 20 or fragment & 0x3FFF or len(packet) < start + _UDP.size:
        return None
    source_port, target_port, length, _ = _UDP.unpack_from(packet, start)
    end = start + length
    if length < _UDP.size or end > (total or end):
        return None
    return Datagram(
        number,
        time,
        (_dotted(packet[12:16]), source_port),
        (_dotted(packet[16:20]), target_port),
        packet[start + _UDP.size : end],
        whole=end <= len(packet),
    )


def _dotted(address: bytes) -> str:
    return ".".join(map(str, address))
