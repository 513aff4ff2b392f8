"""
What happens to machines, remembered of them and told on the event stream.

Whoever decides and answers calls here once it has happened.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address
from uuid import UUID

from pybootd.dhcp.decision import Decision, MessageType, Reply
from pybootd.dhcp.request import Kind, Request
from pybootd.dhcp.settings import Host
from pybootd.events import Bus, Conflict, Declined, Ignored, Leased, Offered, Refused, Released, Seen
from pybootd.leases.lease import Lease, State
from pybootd.machine import Firmware, Machine, Machines, Stage, mac_text

REPEATED = 10.0
"""Seconds within which a REQUEST with the same xid is the same one: sent again, or heard by two ways."""

address_object = lru_cache(4096)(IPv4Address)
"""An address as those have it who are told: each is told three times within one exchange."""


class Telling:
    """The machines' register, and the bus."""

    def __init__(self, machines: Machines, bus: Bus, time: Callable[[], float]) -> None:
        """@param time: seconds since the epoch."""
        self._machines = machines
        self._bus = bus
        self._time = time

    def seen(self, request: Request, host: Host, interface: str) -> Machine:
        """
        What the request, and the configuration, say of its machine.

        @param interface: the name of the one that it came in by.
        """
        now = self._time()
        machine = self._machines.see(mac_text(request.key), now)
        if request.boots and request.kind is not Kind.BOOTP:
            machine.booted = True
        machine.firmware = request.firmware if request.boots else Firmware.SYSTEM
        if request.architectures:
            machine.architecture = request.architecture
        if request.uuid:
            machine.uuid = UUID(bytes_le=request.uuid)
        machine.hostname = host.hostname or request.hostname or machine.hostname
        machine.variables = host.variables
        self._bus.publish(
            Seen(
                now, machine.mac, machine.address, request.kind.value, machine.firmware, request.architecture,
                machine.uuid, interface,
            )
        )  # fmt: skip
        return machine

    def settled(self, machine: Machine, lease: Lease) -> None:
        """What is durable has no answer: the machine has its address no longer."""
        address = address_object(lease.address)
        now, machine.leased = self._time(), (None, 0.0)
        if machine.address == address:
            self._machines.settle(machine, None)
        if lease.state is State.RELEASED:
            self._bus.publish(Released(now, machine.mac, address, machine.uuid))
        else:
            self._bus.publish(Declined(now, machine.mac, address))

    def offered(self, machine: Machine, reply: Reply) -> None:
        """An OFFER left, or the boot file's name from port 4011."""
        machine.stage, machine.leased = Stage.OFFERED, (None, 0.0)
        address = address_object(reply.yiaddr) if reply.yiaddr else None
        self._bus.publish(Offered(self._time(), machine.mac, address, reply.boot_file))

    def leased(self, request: Request, machine: Machine, reply: Reply, lease: Lease) -> None:
        """The answer left that gives the machine its address; the same one again is no news."""
        address, now = address_object(lease.address), self._time()
        self._machines.settle(machine, address)
        machine.stage = Stage.LOADING if request.boots else Stage.RUNNING
        asked, (before, when) = (request.xid, request.firmware, lease.address, reply.boot_file), machine.leased
        if asked == before and 0 <= now - when < REPEATED:
            return
        machine.leased = asked, now
        about = (machine.uuid, request.boots, reply.boot_file, machine.hostname, lease.expires)
        self._bus.publish(Leased(now, machine.mac, address, *about))

    def refused(self, request: Request, machine: Machine, decision: Decision) -> None:
        """It was told no, or nothing."""
        if request.kind in (Kind.DISCOVER, Kind.BOOTP, Kind.BOOT_SERVER):
            machine.stage = Stage.REFUSED
        kind = Refused if decision.replies else Ignored
        what = (request.kind.value, decision.reason, decision.setting or str(decision.origin or ""))
        self._bus.publish(kind(self._time(), machine.mac, machine.address, *what))

    def occupied(self, address: int) -> None:
        """Somebody answered at an address that was to be given away."""
        self._bus.publish(Conflict(self._time(), "", IPv4Address(address)))


def offers(request: Request, reply: Reply) -> bool:
    """Whether this answer proposes only: an OFFER, or what port 4011 says."""
    return reply.type is MessageType.OFFER or request.kind is Kind.BOOT_SERVER
