"""Where replies go: RFC 2131 4.1, row by row."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.decision import MessageType, Reply
from pybootd.dhcp.delivery import LIMITED_BROADCAST, Destination, Way, route
from tests.support.dhcp import BIOS, BROADCAST, DISCOVER, MAC, REQUEST, number, request

ADDRESS = number("10.0.0.100")
OFFER = Reply(MessageType.OFFER, yiaddr=ADDRESS)
NAK = Reply(MessageType.NAK)


class RouteTests(SynchronousTestCase):
    """L{route}."""

    def test_relay(self) -> None:
        """Through a relay: to giaddr, to a server's port; a NAK too."""
        asked = request(DISCOVER, BIOS, giaddr="10.77.0.2")
        for reply in (OFFER, NAK):
            self.assertEqual(route(asked, reply), Destination(Way.ROUTED, number("10.77.0.2"), 67))

    def test_has_address(self) -> None:
        """A client that has its address gets the reply there."""
        asked = request(REQUEST, {}, ciaddr="10.0.0.100", unicast=True)
        reply = Reply(MessageType.ACK, yiaddr=ADDRESS)
        self.assertEqual(route(asked, reply), Destination(Way.ROUTED, ADDRESS, 68, 2))

    def test_broadcast_flag(self) -> None:
        """The flag, as EDK2 sets it: to everybody on the interface that the request came from, never the network's own
        broadcast address."""
        asked = request(DISCOVER, BIOS, flags=BROADCAST)
        self.assertEqual(route(asked, OFFER), Destination(Way.BROADCAST, LIMITED_BROADCAST, 68, 2))

    def test_hardware(self) -> None:
        """Without the flag, as iPXE: to its hardware address."""
        self.assertEqual(route(request(DISCOVER, BIOS), OFFER), Destination(Way.HARDWARE, ADDRESS, 68, 2, MAC))

    def test_nak(self) -> None:
        """A NAK is broadcast, whatever address the client believes to have."""
        asked = request(REQUEST, {}, ciaddr="10.0.0.100")
        self.assertEqual(route(asked, NAK).way, Way.BROADCAST)

    def test_proxy_offer(self) -> None:
        """An offer without an address is broadcast."""
        self.assertEqual(route(request(DISCOVER, BIOS), Reply(MessageType.OFFER)).way, Way.BROADCAST)

    def test_network_broadcast(self) -> None:
        """C{broadcast = network} replaces the limited broadcast address, and nothing else."""
        network = number("10.0.0.255")
        flagged = request(DISCOVER, BIOS, flags=BROADCAST)
        self.assertEqual(route(flagged, OFFER, network_broadcast=network).address, network)
        self.assertEqual(route(request(DISCOVER, BIOS), OFFER, network_broadcast=network).way, Way.HARDWARE)

    def test_never_broadcast(self) -> None:
        """A Raspberry Pi 3 takes what it sees, whoever it is for: always its hardware address."""
        asked = request(DISCOVER, BIOS, flags=BROADCAST)
        self.assertEqual(route(asked, OFFER, never_broadcast=True).way, Way.HARDWARE)

    def test_boot_server(self) -> None:
        """Port 4011 answers to the port that asked, be it 68 or 4011."""
        asked = request(REQUEST, BIOS, port=4011, ciaddr="10.0.0.100")
        self.assertEqual(route(asked, Reply(MessageType.ACK)), Destination(Way.ROUTED, ADDRESS, 68, 2))

    def test_other_port(self) -> None:
        """On another server port a client's is one above."""
        asked = request(DISCOVER, BIOS, flags=BROADCAST)
        self.assertEqual(route(asked, OFFER, server_port=6767).port, 6768)

    def test_unusable_hardware(self) -> None:
        """What is no Ethernet address cannot be sent to."""
        asked = request(DISCOVER, BIOS, mac=b"", htype=32)
        self.assertEqual(route(asked, OFFER).way, Way.BROADCAST)
