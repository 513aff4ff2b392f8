"""Who made a network card, by the first three bytes of its hardware address."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

VIRTUAL = {
    "52:54:00": "QEMU",
    "00:16:3e": "Xen",
    "00:0c:29": "VMware",
    "00:50:56": "VMware",
    "08:00:27": "VirtualBox",
    "00:15:5d": "Hyper-V",
    "bc:24:11": "Proxmox",
}
"""Virtual machines: their names say more than the registry, where it knows them at all."""

COMMON = {
    "b8:27:eb": "Raspberry Pi",
    "dc:a6:32": "Raspberry Pi",
    "e4:5f:01": "Raspberry Pi",
    "d8:3a:dd": "Raspberry Pi",
    "28:cd:c1": "Raspberry Pi",
    "2c:cf:67": "Raspberry Pi",
}
"""The few that are known without IEEE's registry, which the package netaddr has."""

LOCAL = 0x02
"""The bit of the first byte that says: no manufacturer gave this address (IEEE 802, 8.2.2)."""


@lru_cache(maxsize=4096)
def vendor_of(mac: str) -> str:
    """The maker's name, or nothing where it is not known; C{mac} with colons and in lower case."""
    prefix = mac[:8]
    known = VIRTUAL.get(prefix) or COMMON.get(prefix)
    if known or len(mac) < 17:
        return known or ""
    if int(mac[:2], 16) & LOCAL:
        return "local"
    return _registered(mac)


def _registered(mac: str) -> str:
    netaddr = _netaddr()
    if netaddr is None:
        return ""
    try:
        return str(netaddr.EUI(mac[:17]).oui.registration().org)
    except netaddr.core.NotRegisteredError:
        return ""


@lru_cache(maxsize=1)
def _netaddr() -> Any:
    try:
        import netaddr
    except ImportError:
        return None
    return netaddr
