"""Builders for DHCP tests: clients' packets, settings from an INI text, and the answers read back."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface
from struct import pack

from attrs import frozen

from pybootd.config.reader import read
from pybootd.dhcp.client import understand
from pybootd.dhcp.packet import COOKIE, HEADER, Packet, decode
from pybootd.dhcp.request import Request
from pybootd.dhcp.settings import Settings, settings_from

MAC = bytes.fromhex("525400000001")
OTHER = bytes.fromhex("525400000002")
UUID = bytes.fromhex("ccbbaa7722114433556677889900aabb")
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
BROADCAST = 0x8000

BIOS = {
    60: b"PXEClient:Arch:00000:UNDI:002001",
    93: b"\0\0",
    97: b"\0" + UUID,
    55: bytes((1, 3, 6, 12, 43, 60, 66, 67)),
}
UEFI = {60: b"PXEClient:Arch:00007:UNDI:003016", 93: b"\0\7", 97: b"\0" + UUID, 55: bytes((1, 2, 3, 6, 12, 13, 43, 67))}
UEFI_HTTP = {60: b"HTTPClient:Arch:00016:UNDI:003001", 93: b"\0\x10", 97: b"\0" + UUID, 55: bytes((1, 3, 6, 66, 67))}
IPXE = {**BIOS, 77: b"iPXE", 175: b"\x13\x01\x01"}
U_BOOT = {60: b"U-Boot.armv8", 93: b"\0\x16", 94: b"\1\0\0", 55: bytes((1, 3, 6, 12, 15, 17))}
"""Seen of the U-Boot 2023.01 for QEMU's arm64 machine."""

SYSTEM = {55: bytes((1, 3, 6, 15, 51))}


@frozen
class Host:
    """An interface of the host that serves."""

    name: str
    index: int
    addresses: tuple[IPv4Interface, ...]


HOSTS = (Host("eth0", 2, (IPv4Interface("10.0.0.1/24"),)), Host("eth1", 3, (IPv4Interface("10.9.0.1/16"),)))

USUAL = """
[bootpd]
pool_start = 10.0.0.100
pool_count = 3
domain = example.org
dns = 10.0.0.53; 10.0.0.54
[bootfile]
default = pxelinux.0
x64-uefi = grub.efi
x64-uefi-http = http.efi
ipxe = http://10.0.0.1/boot.ipxe
[tftpd]
root = /srv
"""

SIMPLE = USUAL.replace("[bootpd]", "[bootpd]\nallow_simple_dhcp = yes")
PROXY = USUAL.replace("pool_start = 10.0.0.100\npool_count = 3", "mode = proxy\ninterface = eth0")


def number(address: str) -> int:
    """An address as the DHCP room has it."""
    return int(IPv4Address(address))


def settings(text: str = USUAL, *, http: bool = True, extra: str = "") -> Settings:
    """Settings of a configuration, on a host with the networks of L{HOSTS}."""
    config = read(text + extra, http=http)
    return settings_from(config, HOSTS, (IPv4Address("10.0.0.99"),))


def datagram(
    kind: int | None,
    options: dict[int, bytes] | None = None,
    *,
    mac: bytes = MAC,
    ciaddr: str = "0.0.0.0",
    giaddr: str = "0.0.0.0",
    flags: int = 0,
    htype: int = 1,
    xid: int = 0x1234,
    op: int = 1,
) -> bytes:
    """A client's packet."""
    head = HEADER.pack(
        op, htype, len(mac), 0, xid, 0, flags, number(ciaddr), 0, 0, number(giaddr), mac.ljust(16, b"\0"), b"", b""
    )
    body = b"" if kind is None else bytes((53, 1, kind))
    for code, value in (options or {}).items():
        body += bytes((code, len(value))) + value
    return head + COOKIE + body + b"\xff"


def request(
    kind: int | None,
    options: dict[int, bytes] | None = None,
    *,
    source: tuple[str, int] = ("0.0.0.0", 68),
    port: int = 67,
    interface: int = 2,
    unicast: bool = False,
    **fields: object,
) -> Request:
    """A client's packet, understood, as it arrives on eth0."""
    packet = decode(datagram(kind, options, **fields))  # type: ignore[arg-type]
    return understand(packet, source, port, interface, unicast)


def selecting(
    address: str, server: str = "10.0.0.1", options: dict[int, bytes] | None = None, **fields: object
) -> Request:
    """A REQUEST that takes an offer."""
    chosen = {50: pack("!I", number(address)), 54: pack("!I", number(server))}
    return request(REQUEST, {**chosen, **(options or {})}, **fields)  # type: ignore[arg-type]


def answered(data: bytes) -> Packet:
    """An answer, read back."""
    return decode(data)
