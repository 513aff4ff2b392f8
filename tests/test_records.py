"""Tests of L{pybootd.records}."""

from __future__ import annotations

from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pybootd.leases.lease import Lease, State
from pybootd.leases.table import LeaseTable
from pybootd.machine import Machine, Machines
from pybootd.records import LeaseRecords

ONE, TWO = "52:54:00:00:00:01", "52:54:00:00:00:02"


def lease(number: int, mac: str = ONE, state: State = State.BOUND) -> Lease:
    """Of 10.0.0.NUMBER."""
    key = bytes.fromhex(mac.replace(":", ""))
    return Lease(int(IPv4Address(f"10.0.0.{number}")), key, state, 2e9, hostname=f"host{number}")


def address(number: int) -> IPv4Address:
    """The same as an object."""
    return IPv4Address(f"10.0.0.{number}")


class LeaseRecordsTests(SynchronousTestCase):
    """What leases tell of machines, through L{Machines}."""

    def known(self, *leases: Lease, limit: int = 10) -> Machines:
        """The machines of a daemon that started with these leases."""
        machines = Machines(limit)
        machines.records = LeaseRecords(LeaseTable(leases), self.configure)
        return machines

    def configure(self, machine: Machine) -> None:
        """What the configuration says."""
        machine.variables = {"room": "12"}

    def test_by_address(self) -> None:
        """A machine with a lease is known by its address, with its name and what the configuration says of it."""
        machines = self.known(lease(1), lease(2, TWO))
        machine = machines.at(address(2))
        assert machine is not None
        self.assertEqual((machine.mac, machine.address, machine.hostname), (TWO, address(2), "host2"))
        self.assertEqual((machine.booted, machine.variables), (True, {"room": "12"}))
        self.assertIs(machines.get(TWO), machine)
        self.assertIs(machines.see(TWO, 5.0), machine)
        self.assertIs(machines.at(address(2)), machine)

    def test_by_hardware_address(self) -> None:
        """It is known by its hardware address too, with the address that it was given last."""
        machines = self.known(lease(1), lease(2))
        machine = machines.see(ONE, 5.0)
        self.assertEqual((machine.address, machine.last_seen), (address(2), 5.0))
        self.assertIs(machines.at(address(2)), machine)
        self.assertIsNone(machines.at(address(1)))

    def test_nothing_made(self) -> None:
        """Nothing is made of a lease until somebody asks; that there are machines is known."""
        machines = self.known(lease(1))
        self.assertEqual(list(machines), [])
        self.assertTrue(machines)
        self.assertFalse(Machines())
        self.assertFalse(self.known())

    def test_no_machine(self) -> None:
        """An address that was given back, or that rests, stands for no machine."""
        machines = self.known(lease(1, state=State.RELEASED), lease(2, "", State.DECLINED))
        self.assertEqual([machines.at(address(number)) for number in (1, 2, 3)], [None, None, None])
        self.assertIsNone(machines.get(ONE))

    def test_seen_since(self) -> None:
        """Of a machine that was seen, what was seen counts: the address that it has no more is not its own."""
        machines = self.known(lease(1))
        machines.settle(machines.see(ONE, 5.0), address(7))
        self.assertIsNone(machines.at(address(1)))

    def test_forgotten(self) -> None:
        """A machine that had to give way is known again as what is on record, and the limit holds."""
        machines = self.known(lease(1), lease(2, TWO), limit=1)
        self.assertIsNotNone(machines.at(address(1)))
        self.assertIsNotNone(machines.at(address(2)))
        self.assertEqual(len(machines), 1)
        again = machines.at(address(1))
        assert again is not None
        self.assertEqual(again.mac, ONE)
