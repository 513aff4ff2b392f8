"""Where replies go: RFC 2131 4.1, row by row."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.decision import MessageType, Reply
from pybootd.dhcp.delivery import LIMITED_BROADCAST, Destination, Way, route
from tests.support.captures import BY_NAME
from tests.support.dhcp import BIOS, BROADCAST, DISCOVER, INFORM, MAC, REQUEST, number, request

ADDRESS = number("10.0.0.100")
NETWORK = number("10.0.0.255")
OFFER = Reply(MessageType.OFFER, yiaddr=ADDRESS)
PROXY_OFFER = Reply(MessageType.OFFER)
ACK = Reply(MessageType.ACK)
NAK = Reply(MessageType.NAK)


class RouteTests(SynchronousTestCase):
    """L{route}."""

    def test_relay(self) -> None:
        """Through a relay: to giaddr, to a server's port; a NAK too, whatever else the request says."""
        relay = "10.77.0.2"
        rows = [request(DISCOVER, BIOS, giaddr=relay), request(REQUEST, {}, giaddr=relay, ciaddr="10.0.0.9")]
        for asked in rows:
            for reply in (OFFER, NAK):
                self.assertEqual(route(asked, reply), Destination(Way.ROUTED, number(relay), 67))

    def test_has_address(self) -> None:
        """A client that has its address gets the reply there, even if it sets the broadcast flag."""
        for flags in (0, BROADCAST):
            asked = request(REQUEST, {}, ciaddr="10.0.0.100", unicast=True, flags=flags)
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
        """A NAK is broadcast, whatever address the client believes to have, and never to a network's own address."""
        asked = request(REQUEST, {}, ciaddr="10.0.0.100")
        for broadcast in (0, NETWORK):
            destination = route(asked, NAK, broadcast=broadcast)
            self.assertEqual(destination, Destination(Way.BROADCAST, LIMITED_BROADCAST, 68, 2))

    def test_proxy_offer(self) -> None:
        """An offer without an address is broadcast."""
        self.assertEqual(route(request(DISCOVER, BIOS), PROXY_OFFER).way, Way.BROADCAST)

    def test_network_broadcast(self) -> None:
        """C{broadcast = network}: everybody without an address is reached there, as the original pybootd did it."""
        for flags in (0, BROADCAST):
            destination = route(request(DISCOVER, BIOS, flags=flags), OFFER, broadcast=NETWORK)
            self.assertEqual(destination, Destination(Way.BROADCAST, NETWORK, 68, 2))
        asked = request(REQUEST, {}, ciaddr="10.0.0.100", unicast=True)
        self.assertEqual(route(asked, ACK, broadcast=NETWORK).way, Way.ROUTED)

    def test_never_broadcast(self) -> None:
        """A Raspberry Pi 3 takes what it sees, whoever it is for: always its hardware address, from a proxy too."""
        for broadcast in (0, NETWORK):
            asked = request(DISCOVER, BIOS, flags=BROADCAST)
            for reply, address in ((OFFER, ADDRESS), (PROXY_OFFER, LIMITED_BROADCAST)):
                destination = route(asked, reply, broadcast=broadcast, never_broadcast=True)
                self.assertEqual(destination, Destination(Way.HARDWARE, address, 68, 2, MAC))

    def test_boot_server(self) -> None:
        """Port 4011 answers to the address and port that asked: OVMF's is 4011, iPXE's 68."""
        for client, port in (("ovmf-pxe", 4011), ("ipxe-rom", 68)):
            asked = BY_NAME[client, "BOOT_SERVER"].request
            self.assertEqual(route(asked, ACK), Destination(Way.ROUTED, asked.ciaddr, port, 2))

    def test_boot_server_without_source(self) -> None:
        """A boot client that asks from no address is answered at the one that it names, or by broadcast."""
        asked = request(REQUEST, BIOS, port=4011, ciaddr="10.0.0.100")
        self.assertEqual(route(asked, ACK), Destination(Way.ROUTED, ADDRESS, 68, 2))
        self.assertEqual(route(request(REQUEST, BIOS, port=4011), ACK).way, Way.BROADCAST)

    def test_inform(self) -> None:
        """An INFORM is answered where it came from if that is the client itself, else at the client's port 68."""
        for source, port in ((("10.0.0.100", 1023), 1023), (("10.0.0.9", 1023), 68), (("0.0.0.0", 68), 68)):
            asked = request(INFORM, {}, ciaddr="10.0.0.100", source=source)
            self.assertEqual(route(asked, ACK), Destination(Way.ROUTED, ADDRESS, port, 2))

    def test_other_port(self) -> None:
        """On another server port a client's is one above, and a relay's is the same."""
        asked = request(DISCOVER, BIOS, flags=BROADCAST)
        self.assertEqual(route(asked, OFFER, server_port=6767).port, 6768)
        self.assertEqual(route(request(DISCOVER, BIOS, giaddr="10.77.0.2"), OFFER, server_port=6767).port, 6767)

    def test_unusable_hardware(self) -> None:
        """What is no Ethernet address cannot be sent to."""
        for mac, htype in ((b"", 32), (MAC, 6), (MAC + b"\0", 1)):
            asked = request(DISCOVER, BIOS, mac=mac, htype=htype)
            for never_broadcast in (False, True):
                self.assertEqual(route(asked, OFFER, never_broadcast=never_broadcast).way, Way.BROADCAST)
