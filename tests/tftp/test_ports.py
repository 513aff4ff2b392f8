"""The ports of transfers, on the loopback: who is heard there, who is told what, and who may have a port again."""

from __future__ import annotations

import select
import socket

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pybootd.tftp import packet, ports
from pybootd.tftp.ports import ANY, CLIENTS, KEPT, RESTING, Port, Ports
from tests.support.tftp import FakeHub
from tests.support.tree import open_descriptors

OWN = "127.0.0.1"
TOLD = packet.error(5, "unknown transfer")


class PortsTests(SynchronousTestCase):
    def setUp(self) -> None:
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors leaked"))
        self.hub = FakeHub(lambda: 0.0)
        self.clock = Clock()
        self.ports = Ports(self.hub, self.clock.callLater)
        self.addCleanup(self.ports.close)

    def client(self) -> socket.socket:
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(client.close)
        client.bind((OWN, 0))
        client.settimeout(5)
        return client

    def take(self, client: socket.socket) -> Port:
        port = self.ports.take(OWN, client.getsockname())
        port.begin(self)
        return port

    def say(self, client: socket.socket, port: Port, datagram: bytes) -> None:
        """A client says something to a port; who watches the socket where it arrives hears it."""
        client.sendto(datagram, port.socket.getsockname())
        (fd,), _, _ = select.select(self.hub.guards, [], [], 5)
        self.hub.guards[fd].readable(0.0)

    def test_client(self) -> None:
        """What its client says arrives, and what is sent goes there."""
        client = self.client()
        port = self.take(client)
        self.addCleanup(port.close)
        self.assertIs(self.hub.members[port.socket.fileno()], self)
        client.sendto(b"a", port.socket.getsockname())
        select.select([port.socket], [], [], 5)
        self.assertEqual(port.socket.recv(9), b"a")
        port.socket.send(b"b")
        self.assertEqual(client.recvfrom(9), (b"b", port.socket.getsockname()))

    def test_strangers(self) -> None:
        """Who writes to another's transfer is told so, by nothing else than that port; an ERROR is not answered."""
        client, stranger = self.client(), self.client()
        port = self.take(client)
        self.addCleanup(port.close)
        self.say(stranger, port, b"\0\5\0\0x\0")
        self.say(stranger, port, packet.ack(1))
        self.assertEqual(stranger.recvfrom(99), (TOLD, port.socket.getsockname()))
        self.assertRaises(BlockingIOError, port.socket.recv, 9)

    def test_again(self) -> None:
        """A port whose transfer ended well serves the next client, and what is late of the former one is not heard."""
        first, second = self.client(), self.client()
        port = self.take(first)
        port.end(again=True)
        self.assertEqual(self.hub.members, {})
        for datagram in (b"late", b"later"):
            first.sendto(datagram, port.socket.getsockname())
        select.select([port.socket], [], [], 5)
        self.assertIs(self.take(second), port)
        self.addCleanup(port.close)
        self.assertRaises(BlockingIOError, port.socket.recv, 9)
        self.say(first, port, b"very late")
        self.say(self.client(), port, packet.ack(9))
        second.sendto(b"a", port.socket.getsockname())
        select.select([port.socket], [], [], 5)
        self.assertEqual(port.socket.recv(9), b"a")
        first.setblocking(False)
        self.assertRaises(BlockingIOError, first.recv, 99)

    def early(self) -> Port:
        """A new port to which somebody has written before it is connected to its client."""
        sock, stranger = self.client(), self.client()
        sock.setblocking(False)
        port = Port(sock, None, OWN, self.ports, self.hub)
        self.addCleanup(port.close)
        stranger.sendto(packet.error(0, "end it"), sock.getsockname())
        select.select([sock], [], [], 5)
        return port

    def test_early(self) -> None:
        """What comes to a new port before it is connected is not from its client, and not heard."""
        port = self.early()
        port.lead_to(self.client().getsockname())
        self.assertRaises(BlockingIOError, port.socket.recv, 9)

    def test_flooded(self) -> None:
        """A port that somebody floods keeps nobody waiting: the transfer has to do without it."""
        self.patch(ports, "LATE", 1)
        port = self.early()
        self.assertRaises(OSError, port.lead_to, self.client().getsockname())

    def test_rest(self) -> None:
        """What is late is thrown away while the port rests."""
        client = self.client()
        port = self.take(client)
        port.end(again=True)
        self.say(client, port, b"late")
        self.assertRaises(BlockingIOError, port.socket.recv, 9)

    def test_same_client(self) -> None:
        """A port never serves the same client's port twice: what is late would be taken for an answer."""
        client = self.client()
        ports = [self.take(client), self.take(client)]
        for port in ports:
            port.end(again=True)
        third = self.take(client)
        self.addCleanup(third.close)
        self.assertNotIn(third, ports)
        self.assertIs(self.take(self.client()), ports[0])
        self.addCleanup(ports[0].close)

    def test_not_again(self) -> None:
        """Nobody gets a port whose transfer failed, that has served many, or that is at another address."""
        failed = self.take(self.client())
        failed.end(again=False)
        self.assertEqual(failed.socket.fileno(), -1)
        client = self.client()
        elsewhere = self.ports.take(ANY, client.getsockname())
        elsewhere.begin(self)
        elsewhere.end(again=True)
        self.assertEqual(elsewhere.socket.fileno(), -1)
        for number in range(CLIENTS):
            port = self.ports.take(OWN, (OWN, 1024 + number))
            port.begin(self)
            port.end(again=True)
        self.assertEqual(port.socket.fileno(), -1)
        self.assertEqual((self.hub.guards, self.hub.members), ({}, {}))

    def test_ceiling(self) -> None:
        """So many rest and no more: the one that has rested for longest is closed."""
        ports = [self.take(self.client()) for _ in range(RESTING + 1)]
        for port in ports:
            port.end(again=True)
        self.assertEqual([port.socket.fileno() == -1 for port in ports], [True] + [False] * RESTING)

    def test_time(self) -> None:
        """None rests for longer than a moment; then it begins anew."""
        for _ in range(2):
            port = self.take(self.client())
            port.end(again=True)
            self.clock.advance(KEPT / 2)
            self.assertNotEqual(port.socket.fileno(), -1)
            self.clock.advance(KEPT / 2)
            self.assertEqual((port.socket.fileno(), self.hub.guards), (-1, {}))
        self.ports.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_way(self) -> None:
        """Where no way leads to the client, nothing is left open."""
        self.assertRaises(OSError, self.ports.take, OWN, ("255.255.255.255", 9))
        self.assertEqual(self.hub.guards, {})

    def test_adopted(self) -> None:
        """A transfer that another process began keeps its port, where strangers are told so too."""
        client, stranger = self.client(), self.client()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((OWN, 0))
        sock.connect(client.getsockname())
        port = self.ports.adopt(sock)
        port.begin(self)
        self.say(stranger, port, packet.ack(1))
        self.assertEqual(stranger.recvfrom(99), (TOLD, sock.getsockname()))
        port.end(again=True)
        self.assertEqual(sock.fileno(), -1)
