"""What is remembered of machines."""

from __future__ import annotations

from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pybootd.machine import Machines, mac_text

A, B, C = "52:54:00:00:00:0a", "52:54:00:00:00:0b", "52:54:00:00:00:0c"
ADDRESS, OTHER = IPv4Address("192.0.2.7"), IPv4Address("192.0.2.8")


class MachinesTests(SynchronousTestCase):
    """L{Machines} finds by hardware address and by IP address, and stays bounded."""

    def setUp(self) -> None:
        self.machines = Machines(limit=2)

    def test_seen_again(self) -> None:
        """A machine that is seen again is the same machine, with its first time kept."""
        first = self.machines.see(A, 1.0)
        again = self.machines.see(A, 5.0)
        self.assertIs(first, again)
        self.assertEqual((again.first_seen, again.last_seen), (1.0, 5.0))

    def test_found_by_address(self) -> None:
        """A machine that settled at an address is found by it, at no other."""
        machine = self.machines.see(A, 1.0)
        self.machines.settle(machine, ADDRESS)
        self.assertIs(self.machines.at(ADDRESS), machine)
        self.assertIsNone(self.machines.at(OTHER))

    def test_moves(self) -> None:
        """A machine that moves is no longer found where it was."""
        machine = self.machines.see(A, 1.0)
        self.machines.settle(machine, ADDRESS)
        self.machines.settle(machine, OTHER)
        self.assertIsNone(self.machines.at(ADDRESS))
        self.assertIs(self.machines.at(OTHER), machine)

    def test_address_changes_hands(self) -> None:
        """An address that goes to another machine leaves the first one without."""
        first, second = self.machines.see(A, 1.0), self.machines.see(B, 1.0)
        self.machines.settle(first, ADDRESS)
        self.machines.settle(second, ADDRESS)
        self.assertIs(self.machines.at(ADDRESS), second)
        self.assertIsNone(first.address)

    def test_leaves(self) -> None:
        """A machine that gave its address back is found nowhere."""
        machine = self.machines.see(A, 1.0)
        self.machines.settle(machine, ADDRESS)
        self.machines.settle(machine, None)
        self.assertIsNone(self.machines.at(ADDRESS))

    def test_bounded(self) -> None:
        """Past the limit the one unseen for longest is forgotten, its address too."""
        for mac, address in ((A, ADDRESS), (B, OTHER)):
            self.machines.settle(self.machines.see(mac, 1.0), address)
        self.machines.see(C, 3.0)
        self.assertEqual([machine.mac for machine in self.machines], [B, C])
        self.assertIsNone(self.machines.get(A))
        self.assertIsNone(self.machines.at(ADDRESS))

    def test_flood(self) -> None:
        """Machines that never got an address are forgotten first, however many there are."""
        known = self.machines.see(A, 1.0)
        self.machines.settle(known, ADDRESS)
        for number in range(10):
            self.machines.see(f"02:00:00:00:00:{number:02x}", 2.0 + number)
        self.assertEqual([machine.mac for machine in self.machines], [A, "02:00:00:00:00:09"])
        self.assertIs(self.machines.at(ADDRESS), known)
        self.machines.settle(known, None)
        self.machines.see(B, 20.0)
        self.machines.see(C, 21.0)
        self.assertEqual([machine.mac for machine in self.machines], [B, C])

    def test_spellings(self) -> None:
        """A hardware address is lower case with colons; configuration files have it dashed and in capitals."""
        self.assertEqual(mac_text(bytes.fromhex("52540000000a")), A)
        self.assertEqual(self.machines.see(A, 0.0).dashed, "52-54-00-00-00-0A")
