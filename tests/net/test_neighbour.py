"""Reaching machines below IP."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from twisted.trial.unittest import SynchronousTestCase

from pybootd.net import neighbour
from pybootd.net.interfaces import Interface
from pybootd.net.neighbour import Neighbours, neighbours
from tests.support.net import FakeSocket, ReaderReactor

SERVER, CLIENT = int(IPv4Address("10.77.0.1")), int(IPv4Address("10.77.0.100"))
MACHINE = bytes.fromhex("525400123456")
ETH0 = Interface("eth0", 2, bytes.fromhex("020000000001"), (IPv4Interface("10.77.0.1/24"),))


class NeighboursTests(SynchronousTestCase):
    """Frames to a machine without an address."""

    def setUp(self) -> None:
        self.socket = FakeSocket()
        self.neighbours = Neighbours(ETH0, self.socket, ReaderReactor())

    def test_send(self) -> None:
        """A datagram goes to the hardware address, from this interface's own."""
        self.neighbours.send(b"reply", SERVER, 67, MACHINE, CLIENT, 68)
        [(sent,)] = self.socket.sent
        frame = Ether(sent)
        self.assertEqual((frame.src, frame.dst), ("02:00:00:00:00:01", "52:54:00:12:34:56"))
        self.assertEqual((frame[IP].src, frame[IP].dst, frame[UDP].dport), ("10.77.0.1", "10.77.0.100", 68))

    def test_announce(self) -> None:
        """One machine is told the server's address."""
        self.neighbours.announce(SERVER, MACHINE)
        [(sent,)] = self.socket.sent
        self.assertEqual((Ether(sent).dst, Ether(sent)[ARP].psrc), ("52:54:00:12:34:56", "10.77.0.1"))


class OpeningTests(SynchronousTestCase):
    """One socket for each interface, where there may be one."""

    def opened(self, *interfaces: Interface, error: Exception | None = None) -> Any:
        self.bound: list[Any] = []
        test = self

        class Socket(FakeSocket):
            def setblocking(self, blocking: bool) -> None:
                pass

            def bind(self, address: Any) -> None:
                test.bound.append(address)
                if error is not None:
                    raise error

        fake = type("Module", (), {"AF_PACKET": 17, "SOCK_RAW": 3, "socket": lambda *kind: Socket()})
        self.patch(neighbour, "socket", fake)
        return neighbours(interfaces, ReaderReactor())

    def test_each(self) -> None:
        """By the interface's index; it hears ARP only."""
        found = self.opened(ETH0)
        self.assertEqual((list(found), found[2].interface), ([2], ETH0))
        self.assertEqual(self.bound, [("eth0", 0x0806)])

    def test_other_hardware(self) -> None:
        """An interface without an Ethernet address (a tunnel) has no frames."""
        self.assertEqual(self.opened(Interface("tun0", 3, b"", ETH0.addresses)), {})

    def test_not_permitted(self) -> None:
        """Without the privilege there is none, and all else goes on."""
        self.assertEqual(self.opened(ETH0, error=PermissionError(errno.EPERM, "Operation not permitted")), {})

    def test_not_on_this_system(self) -> None:
        """Nor on a system without such sockets."""
        self.patch(neighbour, "socket", type("Module", (), {"socket": socket.socket, "SOCK_RAW": 3}))
        self.assertEqual(neighbours([ETH0], ReaderReactor()), {})
