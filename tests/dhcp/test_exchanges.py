"""Packets and decisions, kept for who looks at them."""

from __future__ import annotations

from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.exchanges import KEPT, Exchanges
from pybootd.machine import mac_text
from tests.support.dhcp import BIOS, DISCOVER, IPXE, MAC, datagram, request
from tests.support.server import Server, mac


class ExchangesTests(SynchronousTestCase):
    """What a server says and decides, read back."""

    def setUp(self) -> None:
        self.exchanges = Exchanges()
        self.server = Server(exchanges=self.exchanges)

    def of(self, address: bytes = MAC) -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", list(self.exchanges.of(mac_text(address))))

    def test_boot(self) -> None:
        """A question, its answer, and each rule that was tried, with its line; the latest first."""
        self.server.obtain(BIOS)
        taken, asked = self.of()
        self.assertEqual((asked["message"], taken["message"]), ("DISCOVER", "REQUEST (selecting)"))
        self.assertIn("DISCOVER from 52:54:00:00:00:01", asked["request"][0])
        ((offer, *_),), ((ack, *_),) = asked["replies"], taken["replies"]
        self.assertIn("OFFER for 52:54:00:00:00:01", offer)
        self.assertIn("ACK for 52:54:00:00:00:01", ack)
        steps = {step["rule"]: step for step in asked["trace"]}
        self.assertIn("pool_start", steps["network"]["setting"])

    def test_silence(self) -> None:
        """A question without an answer has its reason."""
        self.server.say(DISCOVER, {55: b"\1"})
        (asked,) = self.of()
        self.assertEqual(asked["replies"], [])
        self.assertIn("allow_simple_dhcp", asked["trace"][-1]["outcome"])

    def test_nobody_looks(self) -> None:
        """Where nobody looks, nothing is kept, and the answers are the same."""
        other = Server()
        other.obtain(BIOS)
        self.server.obtain(BIOS)
        self.assertEqual(
            [sent.packet.options for sent in other.wire.sent], [sent.packet.options for sent in self.server.wire.sent]
        )

    def test_ceilings(self) -> None:
        """So many of each machine, and so many machines."""
        for _ in range(KEPT + 3):
            self.server.say(DISCOVER, IPXE)
        self.assertEqual(len(self.of()), KEPT)
        exchanges = Exchanges(2)
        for number in range(4):
            exchanges.asked(mac_text(mac(number)), request(DISCOVER), datagram(DISCOVER), 0.0)
        self.assertEqual([len(exchanges.of(mac_text(mac(number)))) for number in range(4)], [0, 0, 1, 1])

    def test_large_packet(self) -> None:
        """A packet that is too large is cut, and shows as what it is."""
        self.exchanges.asked("x", request(DISCOVER), datagram(DISCOVER) + b"\0" * 60_000, 0.0)
        self.exchanges.asked("y", request(DISCOVER), b"", 0.0)
        self.assertIn("1500 bytes", cast("Any", self.exchanges.of("x")[0])["request"][0])
        self.assertEqual(len(cast("Any", self.exchanges.of("y")[0])["request"]), 1)

    def test_somebody_else(self) -> None:
        """A decision about a request that is not kept any more is not kept either."""
        self.exchanges.replied("x", request(DISCOVER), b"")
        self.assertEqual(self.exchanges.of("x"), [])
