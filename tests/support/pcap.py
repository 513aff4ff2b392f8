"""Capture files made in a test: frames of several link types, pcap and pcapng in either byte order."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from struct import pack

from pybootd.net.frames import udp_frame
from tests.support.captures import Capture

ETHERNET, RAW, COOKED, COOKED_2, LOOPBACK = 1, 101, 113, 276, 0
BEGIN = 1_700_000_000


def frame(
    data: bytes,
    source: tuple[str, int] = ("0.0.0.0", 68),
    destination: tuple[str, int] = ("255.255.255.255", 67),
    tags: bytes = b"",
) -> bytes:
    """
    An Ethernet frame with one datagram.

    @param tags: VLAN tags, as they stand before the type.
    """
    whole = udp_frame(
        data,
        source_mac=b"\x52\x54\0\0\0\1",
        target_mac=b"\xff" * 6,
        source=int(IPv4Address(source[0])),
        source_port=source[1],
        target=int(IPv4Address(destination[0])),
        target_port=destination[1],
    )
    return whole[:12] + tags + whole[12:]


def of(capture: Capture) -> bytes:
    """The frame of a real client's datagram."""
    return frame(capture.data, capture.source, capture.destination)


def pcap(frames: Sequence[bytes], link: int = ETHERNET, *, order: str = "<", nanoseconds: bool = False) -> bytes:
    """A capture with a frame each second, and half a second more."""
    magic, half = (0xA1B23C4D, 500_000_000) if nanoseconds else (0xA1B2C3D4, 500_000)
    records = (pack(order + "IIII", BEGIN + index, half, len(one), len(one)) + one for index, one in enumerate(frames))
    return pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link) + b"".join(records)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """One block of pcapng."""
    body += bytes(-len(body) % 4)
    length = pack(order + "I", 12 + len(body))
    return pack(order + "I", kind) + length + body + length


def pcapng(
    frames: Sequence[bytes],
    link: int = ETHERNET,
    *,
    order: str = "<",
    resolution: int | None = None,
    simple: bool = False,
) -> bytes:
    """
    A section of pcapng with a frame each second.

    @param resolution: C{if_tsresol}, a power of ten, or of two with the highest bit set.
    @param simple: as simple packet blocks, without times.
    """
    options = b"" if resolution is None else pack(order + "HHB3xHH", 9, 1, resolution, 0, 0)
    base = 2 if (resolution or 0) & 128 else 10
    ticks = base ** ((6 if resolution is None else resolution) & 127)
    blocks = [
        block(0x0A0D0D0A, pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order),
        block(1, pack(order + "HHI", link, 0, 0) + options, order),
    ]
    for index, one in enumerate(frames):
        if simple:
            blocks.append(block(3, pack(order + "I", len(one)) + one, order))
        else:
            time = (BEGIN + index) * ticks
            blocks.append(
                block(6, pack(order + "5I", 0, time >> 32, time & 0xFFFFFFFF, len(one), len(one)) + one, order)
            )
    return b"".join(blocks)
