"""
The host's own networks: interfaces, their addresses, the default route, the name servers.

The only importer of netifaces.  Where it is missing, the same is read from C{ip -json address}.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any, Protocol, TypeVar

from attrs import frozen

from pybootd.errors import EnvironmentProblem

netifaces: Any
try:
    import netifaces
except ImportError:
    netifaces = None

RESOLV_CONF = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
"""The second one names the real servers where the first only knows systemd's stub on this host."""

ROUTES = Path("/proc/net/route")
"""Linux' table of IPv4 routes."""


@frozen
class Interface:
    """One network interface that has IPv4 addresses."""

    name: str
    index: int
    mac: bytes
    addresses: tuple[IPv4Interface, ...]

    def has(self, address: IPv4Address) -> bool:
        """Whether this is one of its own addresses."""
        return any(own.ip == address for own in self.addresses)

    def holding(self, address: IPv4Address) -> IPv4Interface | None:
        """The interface's address on the network that holds C{address}, if there is one."""
        return next((own for own in self.addresses if address in own.network), None)


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Named = TypeVar("Named", bound=_Named)


def interfaces() -> tuple[Interface, ...]:
    """
    Every interface with an IPv4 address beside which others can be given one: no link-local ones, no host routes.

    @raise EnvironmentProblem: this host does not tell.
    """
    return tuple(_useful(_from_netifaces() if netifaces is not None else _from_ip()))


def holding(address: IPv4Address, among: Iterable[Interface]) -> tuple[Interface, IPv4Interface] | None:
    """The interface whose network holds an address, the narrowest network first, and its own address there."""
    found = [(one, own) for one in among if (own := one.holding(address)) is not None]
    return max(found, key=lambda pair: pair[1].network.prefixlen, default=None)


def default_interface(among: Sequence[Named]) -> Named | None:
    """The interface of the default route."""
    name = ""
    if ROUTES.exists():
        rows = (line.split() for line in ROUTES.read_text().splitlines()[1:])
        name = next((row[0] for row in rows if row[1] == "00000000"), "")
    elif netifaces is not None:
        name = netifaces.gateways().get("default", {}).get(netifaces.AF_INET, ("", ""))[1]
    return next((one for one in among if one.name == name), None)


def name_servers(files: Sequence[Path] = RESOLV_CONF) -> tuple[IPv4Address, ...]:
    """The host's own name servers, as far as others can reach them: no stub on the loopback interface."""
    for file in files:
        try:
            text = file.read_text(errors="replace")
        except OSError:
            continue
        words = re.findall(r"^\s*nameserver\s+([0-9.]+)\s*$", text, re.MULTILINE | re.ASCII)
        servers = tuple(address for address in map(_address, words) if address and not address.is_loopback)
        if servers:
            return servers
    return ()


def _useful(among: Iterable[Interface]) -> Iterable[Interface]:
    for one in among:
        addresses = tuple(own for own in one.addresses if not own.ip.is_link_local and own.network.prefixlen < 32)
        if addresses:
            yield Interface(one.name, one.index, one.mac, addresses)


def _from_netifaces() -> Iterable[Interface]:
    for name in netifaces.interfaces():
        families = netifaces.ifaddresses(name)
        links = families.get(getattr(netifaces, "AF_PACKET", None) or getattr(netifaces, "AF_LINK", -1), [])
        mac = links[0].get("addr", "") if links else ""
        rows = families.get(netifaces.AF_INET, [])
        pairs = [(row.get("addr", ""), row.get("netmask") or row.get("mask")) for row in rows]
        made = _interface(name, mac, [f"{address}/{mask}" for address, mask in pairs if mask])
        if made is not None:
            yield made


def _from_ip() -> Iterable[Interface]:
    try:
        done = subprocess.run(["ip", "-json", "address"], capture_output=True, check=False, timeout=5)  # noqa: S607
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentProblem(f"neither netifaces nor ip tell of this host's interfaces: {error}") from error
    for row in json.loads(done.stdout or b"[]"):
        own = [one for one in row.get("addr_info", []) if one.get("family") == "inet"]
        addresses = [f"{one['local']}/{one['prefixlen']}" for one in own]
        made = _interface(row.get("ifname", ""), row.get("address", ""), addresses)
        if made is not None:
            yield made


def _interface(name: str, mac: str, addresses: Sequence[str]) -> Interface | None:
    try:
        index = socket.if_nametoindex(name)
    except OSError:  # it went away since it was listed
        return None
    digits = mac.replace(":", "")
    chaddr = bytes.fromhex(digits) if re.fullmatch("([0-9a-fA-F]{2})*", digits) else b""
    return Interface(name, index, chaddr, tuple(map(IPv4Interface, addresses)))


def _address(word: str) -> IPv4Address | None:
    try:
        return IPv4Address(word)
    except ValueError:
        return None
