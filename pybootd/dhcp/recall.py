"""
Leases that a person takes back with C{pybootd leases release}, while this server has hold of the store.

The command leaves word in the store; the server looks for it from time to time, and ends the lease as if its machine
had sent a RELEASE.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from attrs import evolve
from twisted.internet.task import LoopingCall

from pybootd.events import Bus, Released
from pybootd.interfaces import ILeaseRecords
from pybootd.leases.commit import GroupCommit, Outcome
from pybootd.leases.lease import Claim, Lease, State
from pybootd.leases.table import LeaseTable
from pybootd.machine import Machines, mac_text

OFTEN = 1.0
"""Seconds between two looks: a person waits."""


class Recall:
    """Ends the leases that a command asked for."""

    def __init__(
        self,
        records: ILeaseRecords,
        table: LeaseTable,
        commit: GroupCommit,
        note: Callable[[Lease], None],
        machines: Machines,
        bus: Bus,
        clock: Any,
        time: Callable[[], float],
    ) -> None:
        """
        @param note: tells the pool of a lease that changed.
        @param clock: for the timer.
        @param time: seconds since the epoch.
        """
        self._records = records
        self._table = table
        self._commit = commit
        self._note = note
        self._machines = machines
        self._bus = bus
        self._time = time
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def start(self) -> None:
        """From now on, until L{stop}."""
        self._looking.start(OFTEN, now=False)

    def stop(self) -> None:
        """No more."""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        for asked in self._records.asked_back():
            lease = self._table.at(asked.address)
            # renewed meanwhile, or another machine's by now: that is not what the person saw
            if lease is not None and _same(lease, asked) and not self._table.pending(lease.key):
                self._end(evolve(lease, state=State.RELEASED, expires=self._time()))

    def _end(self, lease: Lease) -> None:
        self._table.begin(lease)

        def done(outcome: Outcome) -> None:
            durable = outcome is Outcome.DURABLE
            self._table.settle(lease, durable)
            if durable:
                self._note(lease)
                self._tell(lease)

        self._commit.submit(Claim(lease, fresh=False), done)

    def _tell(self, lease: Lease) -> None:
        address, mac = IPv4Address(lease.address), mac_text(lease.key)
        machine = self._machines.get(mac)
        if machine is not None and machine.address == address:
            self._machines.settle(machine, None)
        self._bus.publish(Released(self._time(), mac, address, machine.uuid if machine is not None else None))


def _same(one: Lease, other: Lease) -> bool:
    return one.state is State.BOUND and (one.key, one.expires) == (other.key, other.expires)
