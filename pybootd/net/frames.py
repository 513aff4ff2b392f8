"""
Ethernet frames written by hand: UDP for a machine that answers no ARP yet, ARP itself.

Pure: bytes in, bytes out (RFC 768, 791, 826, 5227).
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct, pack

ETHERTYPE_IP, ETHERTYPE_ARP = 0x0800, 0x0806
EVERYBODY = b"\xff" * 6
_IP = Struct("!BBHHHBBHII")
_UDP = Struct("!HHHH")
_ARP = Struct("!HHBBH6sI6sI")
ARP_REQUEST, ARP_REPLY = 1, 2


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    # a sum of 16-bit words whose carries are added again is the remainder of the whole number by 0xFFFF, for 0x10000
    # leaves 1; a remainder of 0 is a sum of 0xFFFF, unless there is nothing but zeros.  A third of what a sum takes.
    number = int.from_bytes(data, "big")
    return 0xFFFF - (number % 0xFFFF or (0xFFFF if number else 0))


def udp_frame(
    payload: bytes,
    *,
    source_mac: bytes,
    target_mac: bytes,
    source: int,
    source_port: int,
    target: int,
    target_port: int,
) -> bytes:
    """A whole frame around a UDP payload; addresses are integers."""
    length = _UDP.size + len(payload)
    head, fixed = _headers(source_mac, source, source_port, target, target_port, length)
    padded = payload + b"\0" if length % 2 else payload
    # as in checksum(): the headers' part of the sum is known already
    total = 0xFFFF - (fixed + int.from_bytes(padded, "big")) % 0xFFFF
    return b"".join((target_mac, head, pack("!H", total), payload))


@lru_cache(1024)
def _headers(
    source_mac: bytes, source: int, source_port: int, target: int, target_port: int, length: int
) -> tuple[bytes, int]:
    """
    What stands between the receiver's hardware address and the checksum of a datagram, and what its words add to that.

    Most replies are of one size, and go to everybody, or twice to the same address.
    """
    header = _IP.pack(0x45, 0, _IP.size + length, 0, 0, 64, 17, 0, source, target)
    header = header[:10] + pack("!H", checksum(header)) + header[12:]
    ports = pack("!HHH", source_port, target_port, length)
    pseudo = pack("!IIBBH", source, target, 0, 17, length)
    return source_mac + pack("!H", ETHERTYPE_IP) + header + ports, 0xFFFF - checksum(pseudo + ports)


def _arp(operation: int, sender_mac: bytes, sender: int, target_mac: bytes, target: int, to: bytes) -> bytes:
    body = _ARP.pack(1, ETHERTYPE_IP, 6, 4, operation, sender_mac, sender, target_mac, target)
    return (to + sender_mac + pack("!H", ETHERTYPE_ARP) + body).ljust(60, b"\0")


def arp_probe(mac: bytes, address: int) -> bytes:
    """Does anybody have this address?  The sender's own is 0, so that nobody learns from it (RFC 5227 2.1.1)."""
    return _arp(ARP_REQUEST, mac, 0, b"\0" * 6, address, EVERYBODY)


def arp_announcement(mac: bytes, address: int, to: bytes = EVERYBODY) -> bytes:
    """Here is who has this address (RFC 5227 3)."""
    return _arp(ARP_REQUEST, mac, address, b"\0" * 6, address, to)


def arp_sender(frame: bytes) -> tuple[bytes, int] | None:
    """The hardware and IP address that an ARP frame speaks for; None if it is no such frame or speaks for nobody."""
    if len(frame) < 14 + _ARP.size or frame[12:14] != b"\x08\x06":
        return None
    kind, protocol, size, length, _, mac, address, _, _ = _ARP.unpack_from(frame, 14)
    if (kind, protocol, size, length) != (1, ETHERTYPE_IP, 6, 4) or not address:
        return None
    return mac, address
