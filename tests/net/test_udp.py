"""A UDP socket that knows where datagrams come in: over a socket that is none, and on the loopback interface."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pybootd.errors import EnvironmentProblem
from pybootd.net import udp
from pybootd.net.holders import holder_of
from pybootd.net.udp import BURST, DatagramPort, bind_udp, refused
from tests.support.net import FakeSocket, ReaderReactor

WHAT = "pybootd.ini:3: [bootpd] port"
CLIENT = ("10.77.0.100", 68)


def information(interface: int, destination: str) -> tuple[int, int, bytes]:
    """Packet information as the kernel gives it."""
    return socket.IPPROTO_IP, udp.IP_PKTINFO, struct.pack("@i4s4s", interface, b"\x0a\x4d\0\1", _packed(destination))


def _packed(address: str) -> bytes:
    return socket.inet_aton(address)


class DatagramPortTests(SynchronousTestCase):
    """Datagrams in and out."""

    def setUp(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.socket, self.reactor = FakeSocket(), ReaderReactor()
        self.port = DatagramPort(self.socket, lambda *what: self.heard.append(what), self.reactor)

    def test_number(self) -> None:
        """It knows its own number."""
        self.assertEqual((self.port.port, self.port.logPrefix(), self.port.fileno()), (67, "UDP 67", 7))

    def test_life(self) -> None:
        """It reads between start and stop, and closes its socket."""
        self.port.start()
        self.assertEqual(self.reactor.readers, [self.port])
        self.port.stop()
        self.assertEqual((self.reactor.readers, self.socket.closed), ([], True))

    def test_pause(self) -> None:
        """It can be told to read no more, while answers still leave."""
        self.port.start()
        self.port.pause()
        self.assertEqual((self.reactor.readers, self.socket.closed), ([], False))

    def test_after(self) -> None:
        """When all datagrams of a wake-up were handed over, whoever wants to know is told, once."""
        port = DatagramPort(self.socket, lambda *what: self.heard.append(what), self.reactor, self.told)
        self.socket.incoming += [(b"one", [], 0, CLIENT), (b"two", [], 0, CLIENT)]
        port.doRead()
        self.assertEqual(self.heard[2:], [("after", 2)])

    def told(self) -> None:
        self.heard.append(("after", len(self.heard)))

    def test_reactor_stops(self) -> None:
        """A reactor that stops closes the socket."""
        self.port.connectionLost(None)
        self.assertTrue(self.socket.closed)

    def test_several(self) -> None:
        """All datagrams that are there are read in one wake-up, with interface and destination."""
        self.socket.incoming += [
            (b"one", [information(3, "255.255.255.255")], 0, CLIENT),
            (b"two", [information(4, "10.77.0.1")], 0, CLIENT),
        ]
        self.port.doRead()
        self.assertEqual(self.heard, [(b"one", CLIENT, 0xFFFFFFFF, 3), (b"two", CLIENT, 0x0A4D0001, 4)])

    def test_no_information(self) -> None:
        """Without packet information, interface and destination are 0."""
        self.socket.incoming += [
            (b"one", [], 0, CLIENT),
            (b"two", [(socket.IPPROTO_IP, udp.IP_PKTINFO, b"short")], 0, CLIENT),
        ]
        self.port.doRead()
        self.assertEqual(self.heard, [(b"one", CLIENT, 0, 0), (b"two", CLIENT, 0, 0)])

    def test_others_get_their_turn(self) -> None:
        """A flood does not hold the reactor: what is left is read next time."""
        self.socket.incoming += [(b"x", [], 0, CLIENT)] * (BURST + 5)
        self.port.doRead()
        self.assertEqual(len(self.heard), BURST)
        self.port.doRead()
        self.assertEqual(len(self.heard), BURST + 5)

    def test_error_of_an_answer(self) -> None:
        """An ICMP error that an earlier answer met does not keep the next datagram from being read."""
        self.socket.incoming += [OSError(errno.ECONNREFUSED, "refused"), (b"one", [], 0, CLIENT)]
        self.port.doRead()
        self.assertEqual([data for data, *_ in self.heard], [b"one"])

    def test_receiver_fails(self) -> None:
        """A datagram over which the receiver fails is dropped, and the next one is read."""

        def receive(data: bytes, *_: Any) -> None:
            self.heard.append((data,))
            if data == b"one":
                raise ZeroDivisionError

        port = DatagramPort(self.socket, receive, self.reactor)
        self.socket.incoming += [(b"one", [], 0, CLIENT), (b"two", [], 0, CLIENT)]
        port.doRead()
        self.assertEqual(self.heard, [(b"one",), (b"two",)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_send(self) -> None:
        """An answer says the interface and the address that it leaves by."""
        self.port.send(b"answer", CLIENT, 3, 0x0A4D0001)
        [(data, [(level, kind, value)], _, address)] = self.socket.sent
        self.assertEqual((data, address, level, kind), ((b"answer",), CLIENT, socket.IPPROTO_IP, udp.IP_PKTINFO))
        self.assertEqual(struct.unpack("@i4s4s", value), (3, b"\x0a\x4d\0\1", b"\0" * 4))

    def test_send_as_routed(self) -> None:
        """Without interface and source the routing table decides."""
        self.port.send(b"answer", CLIENT)
        self.assertEqual(self.socket.sent, [(b"answer", CLIENT)])


class BindTests(SynchronousTestCase):
    """Real sockets, on the loopback interface only."""

    def bind(self, port: int = 0, **options: Any) -> socket.socket:
        sock = bind_udp("127.0.0.1", port, WHAT, **options)
        self.addCleanup(sock.close)
        return sock

    def test_round_trip(self) -> None:
        """A datagram over the loopback interface comes with that interface, and is answered from its destination."""
        sock, client = self.bind(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(client.close)
        client.settimeout(5)
        client.sendto(b"question", sock.getsockname())
        heard: list[tuple[Any, ...]] = []
        port = DatagramPort(sock, lambda *what: heard.append(what), ReaderReactor())
        port.doRead()
        [(data, source, destination, interface)] = heard
        self.assertEqual((data, destination), (b"question", 0x7F000001))
        self.assertEqual(interface, socket.if_nametoindex("lo"))
        port.send(b"answer", source, interface, destination)
        self.assertEqual(client.recvfrom(100), (b"answer", sock.getsockname()))

    def test_broadcasts(self) -> None:
        """The socket may broadcast, does not block, and has a large buffer where that is allowed."""
        sock = self.bind()
        self.assertTrue(sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST))
        self.assertFalse(sock.getblocking())
        self.assertFalse(sock.get_inheritable())

    def test_taken(self) -> None:
        """A port that is taken is found, with the program that has it."""
        port = self.bind().getsockname()[1]
        problem = self.assertRaises(EnvironmentProblem, self.bind, port)
        self.assertRegex(str(problem), rf"\[bootpd\] port: port {port} \(UDP\) is taken by .*\(pid {os.getpid()}\)")

    def test_device(self) -> None:
        """A socket may be for one interface only; one that does not exist is said."""
        sock = self.bind(device="lo")
        self.assertEqual(sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16), b"lo\0")
        self.assertRaises(EnvironmentProblem, self.bind, device="none0")


class RefusedTests(SynchronousTestCase):
    """Why a port cannot be had, as a person reads it."""

    def said(self, number: int) -> str:
        return refused(OSError(number, os.strerror(number)), "10.77.0.9", 67, "UDP", WHAT)

    def test_sentences(self) -> None:
        """The line of the configuration, the port, and what to do."""
        for number, expected in (
            (errno.EACCES, "needs root"),
            (errno.EPERM, "needs root"),
            (errno.EADDRNOTAVAIL, "10.77.0.9 is no address of this host; mend address"),
            (errno.ENETDOWN, "Network is down"),
        ):
            self.assertIn(expected, self.said(number))
            self.assertTrue(self.said(number).startswith(f"{WHAT}: port 67"), number)

    def test_nobody_holds(self) -> None:
        """A port that nobody has, has no holder."""
        self.assertEqual(holder_of(0xFFFF, "UDP"), "")
