"""
DHCP options as a table: code, name, and how the value is written (RFC 2132 unless said otherwise).

A new option is one row here.  The rows of what pybootd neither reads nor writes give it a name and make it readable.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from struct import pack, unpack
from typing import Any, Generic, TypeVar
from uuid import UUID

from attrs import frozen

from pybootd.dhcp import architectures, pxe
from pybootd.dhcp.decision import MessageType
from pybootd.errors import MalformedPacket
from pybootd.text import printable

T = TypeVar("T")

LIMIT = 400
"""Characters that are shown of one value; no honest one is longer."""


@frozen
class Codec(Generic[T]):
    """Bytes to a value and back, and the value for people."""

    decode: Callable[[bytes], T]
    encode: Callable[[T], bytes]
    show: Callable[[T], str] = str


def dotted(address: int) -> str:
    """An address as people write it."""
    return ".".join(map(str, address.to_bytes(4, "big")))


def _number(layout: str, show: Callable[[int], str] = str) -> Codec[int]:
    return Codec(lambda raw: int(unpack(layout, raw)[0]), lambda value: pack(layout, value), show)


def _list(layout: str, show: Callable[[int], str] = str) -> Codec[tuple[int, ...]]:
    def decode(raw: bytes) -> tuple[int, ...]:
        if not raw:
            raise ValueError("empty")
        return tuple(one[0] for one in struct.iter_unpack(layout, raw))

    def encode(values: Iterable[int]) -> bytes:
        return b"".join(pack(layout, value) for value in values)

    return Codec(decode, encode, lambda values: ", ".join(map(show, values)))


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("utf-8", "replace")


def _readable(raw: bytes) -> str:
    """Text where it is text, else hexadecimal."""
    text = raw.decode("latin-1")
    return f'"{text}"' if text.isprintable() and raw.isascii() and raw else raw.hex(" ")


def _parts(names: Mapping[int, str]) -> Codec[bytes]:
    """Options within an option."""

    def show(raw: bytes) -> str:
        parts = ((names.get(code, str(code)), _readable(value)) for code, value in pxe.suboptions(raw))
        return "; ".join(f"{name} {value}" for name, value in parts) or raw.hex(" ")

    return Codec(bytes, bytes, show)


def _machine(raw: bytes) -> str:
    identifier = pxe.machine_identifier(raw)
    return str(UUID(bytes_le=identifier)) if identifier else raw.hex(" ")


_TYPES = {one.value: one.name for one in MessageType if one}
_IN_PXE = {
    pxe.DISCOVERY_CONTROL: "discovery control",
    pxe.BOOT_SERVERS: "boot servers",
    pxe.BOOT_MENU: "menu",
    pxe.MENU_PROMPT: "prompt",
    pxe.BOOT_ITEM: "chosen item",
}
_IN_RELAY = {1: "circuit", 2: "remote", 5: "link", 6: "subscriber", 11: "server", 12: "relay"}

BYTE, SHORT, SECONDS, ADDRESS = _number("!B"), _number("!H"), _number("!I"), _number("!I", dotted)
BYTES, SHORTS, ADDRESSES = _list("!B"), _list("!H"), _list("!I", dotted)
TEXT: Codec[str] = Codec(_text, lambda value: value.encode("utf-8"))
OPAQUE: Codec[bytes] = Codec(bytes, bytes, _readable)
MESSAGE = _number("!B", lambda number: _TYPES.get(number, str(number)))
ARCHITECTURES = _list("!H", architectures.name_of)
MACHINE: Codec[bytes] = Codec(bytes, bytes, _machine)
PXE, RELAY, IPXE = _parts(_IN_PXE), _parts(_IN_RELAY), _parts({pxe.NO_PXE_DHCP[0]: "no PXE DHCP"})


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
    Option(1,   "subnet_mask",               ADDRESS),        # 3.3
    Option(2,   "time_offset",               SECONDS),        # 3.4
    Option(3,   "router",                    ADDRESSES),      # 3.5
    Option(4,   "time_servers",              ADDRESSES),      # 3.6
    Option(5,   "ien_116_name_servers",      ADDRESSES),      # 3.7
    Option(6,   "name_servers",              ADDRESSES),      # 3.8
    Option(7,   "log_servers",               ADDRESSES),      # 3.9
    Option(9,   "printer_servers",           ADDRESSES),      # 3.11
    Option(12,  "host_name",                 TEXT),           # 3.14
    Option(13,  "boot_file_size",            SHORT),          # 3.15: blocks of 512 bytes
    Option(15,  "domain_name",               TEXT),           # 3.17
    Option(16,  "swap_server",               ADDRESS),        # 3.18
    Option(17,  "root_path",                 TEXT),           # 3.19
    Option(18,  "extensions_path",           TEXT),           # 3.20
    Option(19,  "ip_forwarding",             BYTE),           # 4.1
    Option(22,  "reassembly_size",           SHORT),          # 4.4
    Option(23,  "default_ttl",               BYTE),           # 4.5
    Option(26,  "interface_mtu",             SHORT),          # 5.1
    Option(28,  "broadcast_address",         ADDRESS),        # 5.3
    Option(31,  "router_discovery",          BYTE),           # 5.6
    Option(33,  "static_routes",             ADDRESSES),      # 5.8
    Option(40,  "nis_domain",                TEXT),           # 8.1
    Option(41,  "nis_servers",               ADDRESSES),      # 8.2
    Option(42,  "ntp_servers",               ADDRESSES),      # 8.3
    Option(43,  "vendor_specific",           PXE),            # 8.4; of PXE clients: PXE 2.1 2.2
    Option(44,  "netbios_name_servers",      ADDRESSES),      # 8.5
    Option(46,  "netbios_node_type",         BYTE),           # 8.7
    Option(47,  "netbios_scope",             TEXT),           # 8.8
    Option(50,  "requested_address",         ADDRESS),        # 9.1
    Option(51,  "lease_time",                SECONDS),        # 9.2
    Option(52,  "overload",                  BYTE),           # 9.3
    Option(53,  "message_type",              MESSAGE),        # 9.6
    Option(54,  "server_identifier",         ADDRESS),        # 9.7
    Option(55,  "parameter_request_list",    BYTES),          # 9.8
    Option(56,  "message",                   TEXT),           # 9.9
    Option(57,  "maximum_message_size",      SHORT),          # 9.10
    Option(58,  "renewal_time",              SECONDS),        # 9.11
    Option(59,  "rebinding_time",            SECONDS),        # 9.12
    Option(60,  "vendor_class",              TEXT),           # 9.13
    Option(61,  "client_identifier",         OPAQUE),         # 9.14
    Option(66,  "tftp_server_name",          TEXT),           # 9.4
    Option(67,  "boot_file_name",            TEXT),           # 9.5
    Option(77,  "user_class",                OPAQUE),         # RFC 3004
    Option(80,  "rapid_commit",              OPAQUE),         # RFC 4039
    Option(81,  "client_fqdn",               OPAQUE),         # RFC 4702
    Option(82,  "relay_agent_information",   RELAY),          # RFC 3046: echoed as it came, and last
    Option(90,  "authentication",            OPAQUE),         # RFC 3118
    Option(93,  "client_architecture",       ARCHITECTURES),  # RFC 4578 2.1
    Option(94,  "client_network_interface",  BYTES),          # RFC 4578 2.2
    Option(97,  "client_machine_identifier", MACHINE),        # RFC 4578 2.3
    Option(100, "posix_time_zone",           TEXT),           # RFC 4833
    Option(101, "time_zone",                 TEXT),           # RFC 4833
    Option(108, "ipv6_only_preferred",       SECONDS),        # RFC 8925
    Option(114, "captive_portal",            TEXT),           # RFC 8910
    Option(116, "auto_configure",            BYTE),           # RFC 2563
    Option(118, "subnet_selection",          ADDRESS),        # RFC 3011
    Option(119, "domain_search",             OPAQUE),         # RFC 3397
    Option(120, "sip_servers",               OPAQUE),         # RFC 3361
    Option(121, "classless_routes",          OPAQUE),         # RFC 3442
    Option(124, "vendor_identifying_class",  OPAQUE),         # RFC 3925
    Option(125, "vendor_identifying",        OPAQUE),         # RFC 3925
    Option(145, "forcerenew_nonce",          BYTES),          # RFC 6704
    Option(150, "tftp_server_address",       ADDRESSES),      # RFC 5859
    Option(175, "ipxe",                      IPXE),           # Etherboot's own options
    Option(203, "iscsi_initiator",           TEXT),           # iPXE's own
    Option(208, "pxelinux_magic",            OPAQUE),         # RFC 5071 3
    Option(209, "pxelinux_configuration",    TEXT),           # RFC 5071 4
    Option(210, "pxelinux_path_prefix",      TEXT),           # RFC 5071 5
    Option(211, "pxelinux_reboot_time",      SECONDS),        # RFC 5071 6
    Option(249, "microsoft_routes",          OPAQUE),         # as 121
    Option(252, "proxy_configuration",       TEXT),           # Web Proxy Auto-Discovery
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
        shown = known.codec.show(known.decode(raw)) if known else _readable(raw)
    except MalformedPacket:
        shown = raw.hex(" ")
    return printable(shown, LIMIT) or "(empty)"


def read_number(raw: bytes | None, size: int) -> int:
    """An unsigned number of exactly C{size} bytes; 0 where the option is absent or of another length."""
    return int.from_bytes(raw, "big") if raw is not None and len(raw) == size else 0
