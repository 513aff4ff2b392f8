"""The doctor and other DHCP servers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.client import understand
from pybootd.dhcp.packet import decode
from pybootd.dhcp.request import Kind
from pybootd.doctor.finding import Finding, Grade
from pybootd.doctor.rival import Rival, discover, offer, rivals
from pybootd.net.frames import udp_frame
from pybootd.pcap import datagram
from tests.support.dhcp import datagram as packet
from tests.support.dhcp import number

OTHER = bytes.fromhex("52540000000a")
OWN = {number("10.0.0.1")}


def frame(data: bytes, port: int = 67) -> bytes:
    """An answer of the server 10.0.0.9 to everybody."""
    return udp_frame(
        data, source_mac=OTHER, target_mac=b"\xff" * 6, source=number("10.0.0.9"), source_port=port,
        target=number("255.255.255.255"), target_port=68,
    )  # fmt: skip


def said(*answered: Rival, proxy: bool = False) -> list[Finding]:
    """Findings where these answered on eth0."""
    return list(rivals({"eth0": answered}, OWN, proxy))


class PacketTests(SynchronousTestCase):
    """The question and the answers."""

    def test_discover(self) -> None:
        """A DISCOVER of PXE firmware, to everybody, to be answered to everybody."""
        sent = datagram(discover(b"\x52\x54\0\0\0\1", b"\2\0\0\0\0\7", 99))
        assert sent is not None
        self.assertEqual((sent.source, sent.destination), (("0.0.0.0", 68), ("255.255.255.255", 67)))
        request = understand(decode(sent.data))
        self.assertEqual((request.kind, request.xid, request.chaddr), (Kind.DISCOVER, 99, b"\2\0\0\0\0\7"))
        self.assertTrue(request.flags & 0x8000)
        self.assertTrue(request.boots)
        self.assertEqual(len(request.uuid), 16)

    def test_offer(self) -> None:
        """Who answers: the server identifier, else the address that it came from."""
        told = packet(2, {54: b"\x0a\0\0\x08", 67: b"x.efi"}, op=2, xid=99)
        self.assertEqual(offer(frame(told), 99), Rival(number("10.0.0.8"), OTHER, 0, "x.efi"))
        bare = packet(2, {}, op=2, xid=99)
        self.assertEqual(offer(frame(bare, 4011), 99), Rival(number("10.0.0.9"), OTHER, 0))

    def test_others(self) -> None:
        """Answers to others, requests, other ports, nonsense."""
        for data in (
            frame(packet(2, {}, op=2, xid=98)),
            frame(packet(1, {}, xid=99)),
            frame(packet(2, {}, op=2, xid=99), 53),
            frame(b"\2\2\2"),
            b"",
        ):
            self.assertIsNone(offer(data, 99))


class MeaningTests(SynchronousTestCase):
    """What it means that somebody answers."""

    GIVES = Rival(number("10.0.0.9"), OTHER, number("10.0.0.50"))
    HELPS = Rival(number("10.0.0.8"), OTHER, 0, "x.efi")

    def test_alone(self) -> None:
        """Nobody, or only ourselves."""
        ourselves = Rival(number("10.0.0.1"), OTHER, number("10.0.0.100"))
        for answered in ((), (ourselves,)):
            self.assertEqual([str(one) for one in said(*answered)], ["fine:    no other DHCP server answers on eth0"])

    def test_two_servers(self) -> None:
        """Another one that gives addresses, and one that only names boot files."""
        one, other = said(self.GIVES, self.HELPS)
        self.assertEqual(one.text, "another DHCP server answers on eth0: 10.0.0.9 (52:54:00:00:00:0a) offers 10.0.0.50")
        self.assertIn("mode = proxy", one.remedy)
        self.assertIn("what to boot (x.efi): 10.0.0.8", other.text)
        self.assertEqual({one.grade, other.grade}, {Grade.WRONG})

    def test_proxy(self) -> None:
        """Beside another server there has to be one, and it must not name files."""
        self.assertEqual([one.grade for one in said(self.GIVES, proxy=True)], [Grade.FINE])
        (nobody,) = said(proxy=True)
        self.assertIn("nobody gives addresses on eth0", nobody.text)
        helped, _ = said(self.HELPS, self.GIVES, proxy=True)
        self.assertIn("names a boot file of its own, x.efi", helped.text)
        silent, _ = said(Rival(7, OTHER, 0), self.GIVES, proxy=True)
        self.assertIn("another proxyDHCP server", silent.text)
