"""
DHCP options as a table: code, name, and how the value is written (RFC 2132 unless said otherwise).

A new option is one row here.  What pybootd only carries or shows needs no codec of its own: it is opaque.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from struct import pack, unpack
from typing import Any, Generic, TypeVar

from attrs import frozen

from pybootd.errors import MalformedPacket
from pybootd.text import printable

T = TypeVar("T")


@frozen
class Codec(Generic[T]):
    """Bytes to a value and back."""

    decode: Callable[[bytes], T]
    encode: Callable[[T], bytes]


def _fixed(layout: str) -> Codec[int]:
    return Codec(lambda raw: int(unpack(layout, raw)[0]), lambda value: pack(layout, value))


def _many(layout: str) -> Codec[tuple[int, ...]]:
    def decode(raw: bytes) -> tuple[int, ...]:
        if not raw:
            raise ValueError("empty")
        return tuple(one[0] for one in struct.iter_unpack("!" + layout, raw))

    return Codec(decode, lambda values: b"".join(pack("!" + layout, value) for value in values))


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("utf-8", "replace")


BYTE, SHORT, ADDRESS, SECONDS = _fixed("!B"), _fixed("!H"), _fixed("!I"), _fixed("!I")
ADDRESSES, SHORTS, BYTES = _many("I"), _many("H"), _many("B")
TEXT: Codec[str] = Codec(_text, lambda value: value.encode("utf-8"))
OPAQUE: Codec[bytes] = Codec(bytes, bytes)


@frozen
class Option:
    """One row of the table."""

    code: int
    name: str
    codec: Codec[Any]

    def decode(self, raw: bytes) -> Any:
        """@raise MalformedPacket: the bytes are no such value."""
        try:
            return self.codec.decode(raw)
        except (ValueError, struct.error) as error:
            raise MalformedPacket(f"option {self.code} {self.name}: {error}") from None


# fmt: off
OPTIONS = (
    Option(1,   "subnet_mask",             ADDRESS),       # 3.3
    Option(3,   "router",                  ADDRESSES),     # 3.5
    Option(6,   "name_servers",            ADDRESSES),     # 3.8
    Option(12,  "host_name",               TEXT),          # 3.14
    Option(13,  "boot_file_size",          SHORT),         # 3.15: blocks of 512 bytes
    Option(15,  "domain_name",             TEXT),          # 3.17
    Option(17,  "root_path",               TEXT),          # 3.19
    Option(28,  "broadcast_address",       ADDRESS),       # 5.3
    Option(43,  "vendor_specific",         OPAQUE),        # 8.4; PXE's own options: pybootd.dhcp.pxe
    Option(50,  "requested_address",       ADDRESS),       # 9.1
    Option(51,  "lease_time",              SECONDS),       # 9.2
    Option(52,  "overload",                BYTE),          # 9.3
    Option(53,  "message_type",            BYTE),          # 9.6
    Option(54,  "server_identifier",       ADDRESS),       # 9.7
    Option(55,  "parameter_request_list",  BYTES),         # 9.8
    Option(56,  "message",                 TEXT),          # 9.9
    Option(57,  "maximum_message_size",    SHORT),         # 9.10
    Option(58,  "renewal_time",            SECONDS),       # 9.11
    Option(59,  "rebinding_time",          SECONDS),       # 9.12
    Option(60,  "vendor_class",            TEXT),          # 9.13
    Option(61,  "client_identifier",       OPAQUE),        # 9.14
    Option(66,  "tftp_server_name",        TEXT),          # 9.4
    Option(67,  "boot_file_name",          TEXT),          # 9.5
    Option(77,  "user_class",              OPAQUE),        # RFC 3004
    Option(80,  "rapid_commit",            OPAQUE),        # RFC 4039
    Option(81,  "client_fqdn",             OPAQUE),        # RFC 4702
    Option(82,  "relay_agent_information", OPAQUE),        # RFC 3046: echoed as it came, and last
    Option(93,  "client_architecture",     SHORTS),        # RFC 4578 2.1
    Option(94,  "client_network_interface", OPAQUE),       # RFC 4578 2.2
    Option(97,  "client_machine_identifier", OPAQUE),      # RFC 4578 2.3
    Option(116, "auto_configure",          BYTE),          # RFC 2563
    Option(118, "subnet_selection",        ADDRESS),       # RFC 3011
    Option(119, "domain_search",           OPAQUE),        # RFC 3397
    Option(121, "classless_routes",        OPAQUE),        # RFC 3442
    Option(125, "vendor_identifying",      OPAQUE),        # RFC 3925
    Option(150, "tftp_server_address",     ADDRESSES),     # RFC 5859
    Option(175, "ipxe",                    OPAQUE),        # Etherboot's own options
    Option(209, "pxelinux_configuration",  TEXT),          # RFC 5071 4
    Option(210, "pxelinux_path_prefix",    TEXT),          # RFC 5071 5
)
# fmt: on

BY_CODE = {option.code: option for option in OPTIONS}


def name_of(code: int) -> str:
    """The option's name, or its number."""
    known = BY_CODE.get(code)
    return known.name if known else f"option {code}"


def describe(code: int, raw: bytes) -> str:
    """The value for people: never fails, and never shows a client's bytes unescaped."""
    known = BY_CODE.get(code)
    try:
        value = known.decode(raw) if known else raw
    except MalformedPacket:
        value = raw
    if isinstance(value, bytes):
        return value.hex(" ") or "(empty)"
    if isinstance(value, str):
        return printable(value)
    if known is not None and known.codec in (ADDRESS, ADDRESSES):
        return ", ".join(map(dotted, value if isinstance(value, tuple) else (value,)))
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def dotted(address: int) -> str:
    """An address as people write it."""
    return ".".join(map(str, address.to_bytes(4, "big")))


def read_number(raw: bytes | None, size: int) -> int:
    """An unsigned number of exactly C{size} bytes; 0 where the option is absent or of another length."""
    return int.from_bytes(raw, "big") if raw is not None and len(raw) == size else 0
