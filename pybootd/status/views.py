"""Machines, boots and leases as JSON has them: what the API, the page and the live stream show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from math import isfinite
from uuid import UUID

from pybootd.dhcp.architectures import name_of
from pybootd.leases.lease import Lease
from pybootd.machine import Firmware, mac_text
from pybootd.status.diagnosis import Diagnosis, Where, diagnose, stage_of, state_of
from pybootd.status.timeline import Record, Transfer
from pybootd.status.vendors import vendor_of
from pybootd.text import printable

SHOWN = 3
"""Transfers in a row of the list: the latest of this boot."""

Plain = dict[str, object]


def row(record: Record, now: float, where: Where) -> Plain:
    """One machine in the list."""
    found = diagnose(record, now, where)
    return {
        "id": record.key,
        "mac": record.mac,
        "name": record.hostname,
        "vendor": printable(vendor_of(record.mac)),
        "architecture": name_of(record.architecture) if record.architecture is not None else "",
        "firmware": _firmware(record),
        "address": record.address,
        "uuid": record.uuid,
        "interface": record.interface,
        "boot_file": record.boot_file,
        "state": state_of(record, now, found),
        "stage": stage_of(record),
        "stages": dict(record.stages),
        "boots": record.boots,
        "transfers": [transfer(one) for one in record.current[-SHOWN:]],
        "diagnosis": matter(found),
        "first_seen": record.first_seen,
        "last_seen": record.last_seen,
        "revision": record.revision,
    }


def _firmware(record: Record) -> str:
    """What the boot began with; what speaks now where that is not known."""
    known = record.firmware if record.boots_by is Firmware.UNKNOWN else record.boots_by
    return "" if known is Firmware.UNKNOWN else known.value


def page(record: Record, now: float, where: Where, exchanges: Sequence[Mapping[str, object]]) -> Plain:
    """One machine by itself: everything that is known of it."""
    return {
        **row(record, now, where),
        "transfers": [transfer(one) for one in record.transfers],
        "log": [{"time": time, "text": text} for time, text in record.lines],
        "exchanges": list(exchanges),
    }


def transfer(one: Transfer) -> Plain:
    """One file."""
    return {
        "name": one.name,
        "protocol": one.protocol,
        "role": one.role,
        "boot": one.boot,
        "state": one.state,
        "size": one.size,
        "sent": one.sent,
        "rate": round(one.rate),
        "left": round(one.left, 1) if one.left is not None else None,
        "begun": one.begun,
        "detail": one.detail,
        "retransmitted": one.retransmitted,
        "reason": one.reason,
    }


def matter(found: Diagnosis | None) -> Plain | None:
    """What keeps a machine from booting."""
    if found is None:
        return None
    return {
        "kind": found.kind,
        "severity": found.severity,
        "sentence": found.sentence,
        "setting": printable(found.setting, 300),
    }


def lease(one: Lease) -> Plain:
    """One lease."""
    return {
        "address": str(IPv4Address(one.address)),
        "mac": mac_text(one.key),
        "state": one.state.name.lower(),
        "expires": one.expires if isfinite(one.expires) else None,
        "uuid": str(UUID(bytes_le=one.uuid)) if one.uuid else "",
        "hostname": printable(one.hostname),
    }
