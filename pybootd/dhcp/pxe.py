"""
What PXE, UEFI HTTP boot and iPXE put into DHCP options: option 43 in both directions, 60, 97 and 175.

Sources: PXE 2.1 (Intel, 1999) 2.2, RFC 4578, UEFI 2.10 24.7; for iPXE the feature tags of its DHCP code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from struct import pack, unpack

PXE_CLIENT, HTTP_CLIENT = b"PXEClient", b"HTTPClient"
_ARCHITECTURE = re.compile(rb"(?:PXE|HTTP)Client:Arch:([0-9]{5})", re.ASCII)

DISCOVERY_CONTROL, BOOT_SERVERS, BOOT_MENU, MENU_PROMPT, BOOT_ITEM = 6, 8, 9, 10, 71
SKIP_DISCOVERY = pack("!BBB", DISCOVERY_CONTROL, 1, 8) + b"\xff"
"""Option 43 that says: load the file that this packet names, ask no boot server (discovery control, bit 3)."""

IPXE_HTTP = 0x13
"""The feature tag of option 175 that tells a client of HTTP."""
NO_PXE_DHCP = pack("!BBB", 0xB0, 1, 1)
"""Option 175 for iPXE: do not wait for a proxyDHCP server, there is none."""


def suboptions(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """The parts of an encapsulated option, as far as they are whole; 0 pads, 255 ends."""
    at = 0
    while at < len(raw) and raw[at] != 0xFF:
        if raw[at] == 0:
            at += 1
            continue
        if at + 2 > len(raw) or at + 2 + raw[at + 1] > len(raw):
            return
        yield raw[at], raw[at + 2 : at + 2 + raw[at + 1]]
        at += 2 + raw[at + 1]


def encapsulate(parts: Iterable[tuple[int, bytes]]) -> bytes:
    """The parts as one option's value, closed by 255."""
    return b"".join(pack("!BB", code, len(value)) + value for code, value in parts) + b"\xff"


def architecture(vendor_class: bytes) -> int | None:
    """The five digits in C{PXEClient:Arch:00007:UNDI:003016}."""
    match = _ARCHITECTURE.match(vendor_class)
    return int(match[1]) if match and int(match[1]) < 65536 else None


def machine_identifier(raw: bytes) -> bytes:
    """The 16 bytes of a UUID in option 97 (RFC 4578 2.3), or none."""
    return raw[1:] if len(raw) == 17 and raw[0] == 0 else b""


def user_class(raw: bytes) -> bytes:
    """
    The first user class of option 77.

    RFC 3004 puts a length before each; iPXE sends the bare word.  Lengths that add up mean the RFC's form.
    """
    at = 0
    while at < len(raw) and raw[at]:
        at += 1 + raw[at]
    return raw[1 : 1 + raw[0]] if raw and at == len(raw) else raw.rstrip(b"\0")


def features(raw: bytes) -> frozenset[int]:
    """Tags of option 175 whose value is not zero."""
    return frozenset(code for code, value in suboptions(raw) if value.strip(b"\0"))


def boot_item(raw: bytes) -> tuple[int, int] | None:
    """The boot server type and layer that a client chose (option 43, sub-option 71)."""
    for code, value in suboptions(raw):
        if code == BOOT_ITEM and len(value) == 4:
            kind, layer = unpack("!HH", value)
            return int(kind), int(layer)
    return None


def swapped(uuid: bytes) -> bytes:
    """A UUID with its first three fields the other way round: firmware sends them little-endian."""
    return uuid[3::-1] + uuid[5:3:-1] + uuid[7:5:-1] + uuid[8:]
