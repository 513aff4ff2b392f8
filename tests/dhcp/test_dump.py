"""Packets as people read them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.decision import MessageType, Reply
from pybootd.dhcp.dump import dump
from pybootd.dhcp.packet import decode, encode
from tests.support.captures import BY_NAME, CAPTURES
from tests.support.dhcp import BIOS, DISCOVER, datagram, number, request


class DumpTests(SynchronousTestCase):
    """L{dump}."""

    def test_request(self) -> None:
        """What OVMF asks, line by line; empty fields are left out."""
        lines = list(dump(decode(BY_NAME["ovmf-pxe", "SELECTING"].data)))
        self.assertEqual(
            lines,
            [
                "REQUEST from 52:54:00:12:34:01, 359 bytes",
                "htype 1, hops 0, xid 0xf730820e, secs 0, flags 0x8000 (broadcast)",
                "54 server_identifier: 10.77.0.1",
                "50 requested_address: 10.77.0.128",
                "57 maximum_message_size: 65280",
                "55 parameter_request_list: 1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, "
                "54, 58, 59, 60, 66, 67, 97, 128, 129, 130, 131, 132, 133, 134, 135",
                "97 client_machine_identifier: 5297e1aa-5e3e-4bcd-914f-f61bc878051c",
                "94 client_network_interface: 1, 3, 0",
                "93 client_architecture: x64-uefi",
                "60 vendor_class: PXEClient:Arch:00007:UNDI:003000",
            ],
        )

    def test_reply(self) -> None:
        """An answer: for whom, with its addresses and names."""
        options = {53: b"\2", 43: b"\6\1\x08\xff", 82: b"\1\3br1"}
        reply = Reply(
            MessageType.OFFER, yiaddr=number("10.0.0.100"), siaddr=1, file=b"a.0", sname=b"s", options=options
        )
        self.assertEqual(
            list(dump(decode(encode(reply, request(DISCOVER, BIOS))))),
            [
                "OFFER for 52:54:00:00:00:01, 300 bytes",
                "htype 1, hops 0, xid 0x00001234, secs 0, flags 0x0000",
                "yiaddr: 10.0.0.100",
                "siaddr: 0.0.0.1",
                "sname: s",
                "file: a.0",
                "43 vendor_specific: discovery control 08",
                '82 relay_agent_information: circuit "br1"',
            ],
        )

    def test_bootp(self) -> None:
        """A packet without option 53, and without a hardware address."""
        self.assertEqual(next(dump(decode(datagram(None, mac=b"")))), "BOOTP from nobody, 241 bytes")

    def test_foreign_text(self) -> None:
        """Nothing that a client writes can forge a line or steer a terminal."""
        hostile = b"a\n\x1b[2J\xe2\x80\xaeb\xff"
        options = {
            12: hostile,
            60: hostile,
            61: hostile,
            77: hostile,
            82: b"\1\x05a\n\x1bbc",
            43: hostile,
            222: hostile,
        }
        data = bytearray(datagram(DISCOVER, options))
        data[44:49] = b"s\n\x1b[m"
        data[108:113] = b"f\n\x1b[m"
        lines = list(dump(decode(bytes(data))))
        self.assertEqual(len(lines), 2 + 2 + len(options))
        self.assertTrue(all(line.isprintable() for line in lines))
        self.assertIn("file: f\\x0a\\x1b[m", lines)

    def test_length(self) -> None:
        """No value fills a screen."""
        lines = dump(decode(datagram(DISCOVER, {61: b"\1" * 255, 60: b"a" * 255, 55: b"\xff" * 255})))
        self.assertLess(max(map(len, lines)), 450)

    def test_captures(self) -> None:
        """All that real clients send is known by name."""
        for capture in CAPTURES:
            for line in dump(decode(capture.data)):
                self.assertNotIn(" option ", line, capture.client)
