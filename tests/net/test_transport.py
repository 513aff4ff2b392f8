"""DHCP's way out."""

from __future__ import annotations

import errno
from ipaddress import IPv4Address
from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.delivery import Destination, Way
from pybootd.dhcp.settings import Network
from pybootd.net.transport import DhcpTransport
from pybootd.throttle import Throttle

SERVER, CLIENT = int(IPv4Address("10.77.0.1")), int(IPv4Address("10.77.0.100"))
RELAY = int(IPv4Address("10.78.0.1"))
ALL = 0xFFFFFFFF
MACHINE = bytes.fromhex("525400123456")


def network(interface: int) -> Network:
    return Network(
        first=SERVER & ~0xFF,
        last=SERVER | 0xFF,
        server=SERVER,
        next_server=SERVER,
        interface=interface,
        lease_time=86400,
        options={},
    )


NEAR, FAR = network(2), network(0)


class Recorder:
    """A port, an interface's neighbours, or an echo: keeps what it is told, or fails."""

    def __init__(self, port: int = 67) -> None:
        self.port = port
        self.told: list[tuple[Any, ...]] = []
        self.failing: OSError | None = None

    def send(self, *what: Any) -> None:
        if self.failing:
            raise self.failing
        self.told.append(what)

    announce = send

    def probe(self, *what: Any) -> Any:
        self.told.append(what)
        return succeed(True)


class TransportTests(SynchronousTestCase):
    """Which socket carries what."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.ports = {67: Recorder(67), 4011: Recorder(4011)}
        self.neighbours, self.echo = Recorder(), Recorder()
        self.lines: list[dict[str, Any]] = []
        self.transport = self.made({2: self.neighbours}, self.echo)

    def made(self, neighbours: Any, echo: Any = None) -> DhcpTransport:
        throttle = Throttle(lambda: 0.0, often=2)
        transport = DhcpTransport(self.ports, neighbours, 0.5, throttle, self.clock.callLater, echo)
        transport.log = type("Log", (), {"error": lambda _, text, **fields: self.lines.append(fields)})()
        return transport

    def sent(self, transport: DhcpTransport, destination: Destination, network: Network, port: int = 67) -> None:
        transport.send(b"x", destination, network, port)
        self.clock.advance(0)

    def test_hardware(self) -> None:
        """A client without an address is sent a frame, from the port that it asked."""
        self.sent(self.transport, Destination(Way.HARDWARE, CLIENT, 68, 2, MACHINE), NEAR)
        self.assertEqual(self.neighbours.told, [(b"x", SERVER, 67, MACHINE, CLIENT, 68)])
        self.assertEqual(self.ports[67].told, [])

    def test_no_frames(self) -> None:
        """Where no frames can be sent, everybody on that interface hears it, from the server's address there."""
        for destination in (Destination(Way.HARDWARE, CLIENT, 68, 2, MACHINE), Destination(Way.BROADCAST, ALL, 68, 2)):
            self.sent(self.made({}), destination, NEAR)
        self.assertEqual(self.ports[67].told, [(b"x", ("255.255.255.255", 68), 2, SERVER)] * 2)

    def test_broadcast(self) -> None:
        """A broadcast is a frame to everybody on the interface of the request only."""
        self.sent(self.transport, Destination(Way.BROADCAST, ALL, 68, 2), NEAR)
        self.assertEqual(self.neighbours.told, [(b"x", SERVER, 67, b"\xff" * 6, ALL, 68)])
        self.assertEqual(self.ports[67].told, [])

    def test_relay(self) -> None:
        """A relay is reached as the routing table says."""
        self.sent(self.transport, Destination(Way.ROUTED, RELAY, 67), FAR)
        self.assertEqual(self.ports[67].told, [(b"x", ("10.78.0.1", 67), 0, 0)])

    def test_routed(self) -> None:
        """A machine with an address is answered from the one by which it knows this server, which may have several."""
        self.sent(self.transport, Destination(Way.ROUTED, CLIENT, 68, 2), NEAR)
        self.assertEqual(self.ports[67].told, [(b"x", ("10.77.0.100", 68), 0, SERVER)])

    def test_second_port(self) -> None:
        """Who asked port 4011 is answered from there."""
        self.sent(self.transport, Destination(Way.ROUTED, CLIENT, 4011, 2), NEAR, 4011)
        self.assertEqual((len(self.ports[67].told), len(self.ports[4011].told)), (0, 1))

    def test_together(self) -> None:
        """What one wake-up says leaves at its end, all of it, in the order in which it was said."""
        near, far = Destination(Way.HARDWARE, CLIENT, 68, 2, MACHINE), Destination(Way.ROUTED, RELAY, 67)
        for data, destination in ((b"1", near), (b"2", far), (b"3", near)):
            self.transport.send(data, destination, NEAR, 67)
        self.assertEqual((self.neighbours.told, self.ports[67].told), ([], []))
        self.clock.advance(0)
        self.assertEqual([told[0] for told in self.neighbours.told], [b"1", b"3"])
        self.assertEqual([told[0] for told in self.ports[67].told], [b"2"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.sent(self.transport, far, NEAR)
        self.assertEqual([told[0] for told in self.ports[67].told], [b"2", b"x"])

    def test_flush(self) -> None:
        """Whoever knows that it is all that there is need not wait."""
        far = Destination(Way.ROUTED, RELAY, 67)
        for _ in range(2):
            self.transport.send(b"x", far, FAR, 67)
            self.transport.flush()
        self.assertEqual(len(self.ports[67].told), 2)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(0)
        self.assertEqual(len(self.ports[67].told), 2)

    def test_end(self) -> None:
        """At the end what waits leaves, and nothing more: the sockets are closed then."""
        near = Destination(Way.HARDWARE, CLIENT, 68, 2, MACHINE)
        self.transport.send(b"1", near, NEAR, 67)
        self.transport.end()
        self.sent(self.transport, near, NEAR)
        self.assertEqual([told[0] for told in self.neighbours.told], [b"1"])

    def test_lost(self) -> None:
        """What cannot leave is lost, and said, but not for ever; the others leave."""
        self.neighbours.failing = OSError(errno.ENETUNREACH, "Network is unreachable")
        for _ in range(3):
            self.transport.send(b"x", Destination(Way.HARDWARE, CLIENT, 68, 2, MACHINE), NEAR, 67)
            self.transport.send(b"x", Destination(Way.ROUTED, RELAY, 67), FAR, 67)
            self.transport.announce(NEAR, MACHINE)
        self.ports[67].failing = self.neighbours.failing
        self.sent(self.transport, Destination(Way.ROUTED, RELAY, 67), FAR)
        self.assertEqual([line["to"] for line in self.lines], ["52:54:00:12:34:56"] * 2 + ["10.78.0.1"])
        self.assertEqual(self.lines[0]["reason"], "Network is unreachable")
        self.assertEqual(len(self.ports[67].told), 3)

    def test_announce(self) -> None:
        """One machine is told where the server is, if frames can be sent, behind the reply to it."""
        self.transport.send(b"x", Destination(Way.HARDWARE, CLIENT, 68, 2, MACHINE), NEAR, 67)
        self.transport.announce(NEAR, MACHINE)
        self.made({}).announce(NEAR, MACHINE)
        self.assertEqual(self.neighbours.told, [(b"x", SERVER, 67, MACHINE, CLIENT, 68), (SERVER, MACHINE)])

    def test_probe(self) -> None:
        """An address near by is asked for by ARP, one behind a relay by echo, with the configured patience."""
        self.assertIs(self.successResultOf(self.transport.probe(NEAR, CLIENT)), True)
        self.assertEqual((self.neighbours.told, self.echo.told), ([(CLIENT, 0.5)], []))
        self.transport.probe(FAR, CLIENT)
        self.assertEqual(self.echo.told, [(CLIENT, 0.5)])

    def test_turned(self) -> None:
        """Another patience, and a way to probe that was not there before."""
        bare = self.made({2: self.neighbours})
        bare.turn(2.0, self.echo)
        bare.probe(NEAR, CLIENT)
        bare.probe(FAR, CLIENT)
        self.assertEqual((self.neighbours.told, self.echo.told), ([(CLIENT, 2.0)], [(CLIENT, 2.0)]))

    def test_no_probe(self) -> None:
        """Where it cannot be asked, there is nothing to wait for."""
        bare = self.made({})
        self.assertEqual((bare.probe(NEAR, CLIENT), bare.probe(FAR, CLIENT)), (None, None))
