"""
What leases tell of machines that were not seen since the daemon started, or not lately.

They are known to TFTP and HTTP at once, however many they are, and nothing is made of a lease until somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

from pybootd.leases.lease import Lease, State
from pybootd.leases.table import LeaseTable
from pybootd.machine import Machine, mac_bytes, mac_text


class LeaseRecords:
    """The machines that have a lease."""

    def __init__(self, table: LeaseTable, configured: Callable[[Machine], None]) -> None:
        """@param configured: adds what the configuration says of a machine."""
        self._table = table
        self._configured = configured

    def __len__(self) -> int:
        return len(self._table)

    def of(self, mac: str) -> Machine | None:
        """By its latest lease."""
        leases = self._table.all_of(mac_bytes(mac))
        if not leases:
            return None  # as of every new machine
        return next((self._made(lease) for lease in leases if tells(lease)), None)

    def at(self, address: IPv4Address) -> Machine | None:
        """By the lease of that address."""
        lease = self._table.at(int(address))
        return self._made(lease) if lease is not None and tells(lease) else None

    def _made(self, lease: Lease) -> Machine:
        address = IPv4Address(lease.address)
        machine = Machine(mac_text(lease.key), address=address, hostname=lease.hostname, booted=True)
        self._configured(machine)
        return machine


def tells(lease: Lease) -> bool:
    """Whether a lease stands for a machine that has its address; an ended one may be in use until another asks."""
    return lease.state is State.BOUND and bool(lease.key)
