"""Packets on the wire, read and written; and what is no packet."""

from __future__ import annotations

import contextlib
import random
from struct import pack

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP as ScapyBootp
from scapy.layers.dhcp import DHCP as ScapyDhcp
from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.client import understand
from pybootd.dhcp.decision import MessageType, Reply
from pybootd.dhcp.options import describe
from pybootd.dhcp.packet import COOKIE, HEADER, MINIMUM, decode, encode
from pybootd.errors import MalformedPacket
from tests.support.dhcp import BIOS, DISCOVER, MAC, SYSTEM, datagram, number, request


def body(options: bytes, *, sname: bytes = b"", file: bytes = b"") -> bytes:
    """A DISCOVER with these bytes in its options field."""
    head = HEADER.pack(1, 1, 6, 0, 1, 0, 0, 0, 0, 0, 0, MAC.ljust(16, b"\0"), sname, file)
    return head + COOKIE + options


class DecodeTests(SynchronousTestCase):
    """What arrives."""

    def test_fields(self) -> None:
        """Each field is read; chaddr has as many bytes as hlen says."""
        packet = decode(datagram(DISCOVER, BIOS, giaddr="10.0.0.2", flags=0x8000, xid=7))
        self.assertEqual((packet.xid, packet.flags, packet.giaddr), (7, 0x8000, number("10.0.0.2")))
        self.assertEqual((packet.chaddr, packet.dhcp), (MAC, True))
        self.assertEqual(packet.options[60], BIOS[60])

    def test_bootp(self) -> None:
        """A packet without option 53, or without the cookie, is BOOTP."""
        self.assertFalse(decode(datagram(None)).dhcp)
        self.assertFalse(decode(datagram(DISCOVER)[:236] + b"\0" * 64).dhcp)

    def test_pad_and_missing_end(self) -> None:
        """Pads are passed over; a missing END is forgiven."""
        self.assertEqual(decode(body(b"\0\0\x35\x01\x01\0\x0c\x01a")).options, {53: b"\1", 12: b"a"})

    def test_long_option(self) -> None:
        """Pieces of one option are joined (RFC 3396)."""
        self.assertEqual(decode(body(b"\x35\x01\x01\x0c\x02ab\x0c\x01c\xff")).options[12], b"abc")

    def test_overload(self) -> None:
        """Options in C{file} and C{sname} are read where option 52 says so, each field once (RFC 2132 9.3)."""
        data = body(b"\x35\x01\x01\x34\x01\x03\xff", file=b"\x0c\x01f\x34\x01\x03\xff", sname=b"\x0f\x01s\xff")
        packet = decode(data)
        self.assertEqual((packet.options[12], packet.options[15]), (b"f", b"s"))
        self.assertEqual((packet.file, packet.sname), (b"", b""))

    def test_malformed(self) -> None:
        """Short packets, foreign op codes, fields and options that run over the end."""
        good = datagram(DISCOVER)
        rows = {
            "empty": b"",
            "one byte less than a header": good[:235],
            "op": b"\3" + good[1:],
            "hlen": good[:2] + b"\x11" + good[3:],
            "option over the end": body(b"\x35\x01\x01\x0c\x09abc"),
            "option without length": body(b"\x35\x01\x01\x0c"),
            "option over the end of file": body(b"\x35\x01\x01\x34\x01\x01\xff", file=b"\x0c\xfe" + b"a" * 126),
        }
        for name, data in rows.items():
            self.assertRaises(MalformedPacket, decode, data)
            self.assertTrue(name)

    @given(st.binary(max_size=700))
    def test_anything(self, data: bytes) -> None:
        """Whatever arrives, nothing else than MalformedPacket comes of it."""
        for one in (data, body(data), body(data[:300], file=data[300:428], sname=data[428:492])):
            try:
                asked = understand(decode(one))
            except MalformedPacket:
                continue
            for code, raw in asked.options.items():
                self.assertTrue(describe(code, raw).isprintable())

    def test_mutations(self) -> None:
        """Ten thousand damaged packets: MalformedPacket or a request, nothing else."""
        dice = random.Random(4)
        seeds = [datagram(kind, options) for kind in (1, 3, 4, 7, 8) for options in (BIOS, SYSTEM, {82: b"\1\2ab"})]
        for _ in range(10_000):
            damaged = bytearray(dice.choice(seeds))
            for _ in range(dice.randint(1, 6)):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
            with contextlib.suppress(MalformedPacket):
                understand(decode(bytes(damaged[: dice.randint(0, len(damaged))])))


class EncodeTests(SynchronousTestCase):
    """What leaves."""

    def reply(self, options: dict[int, bytes], **fields: object) -> Reply:
        return Reply(MessageType.OFFER, yiaddr=number("10.0.0.100"), options={53: b"\2", **options}, **fields)

    def test_header(self) -> None:
        """xid, chaddr and htype are the client's; op is a reply's; hops is 0."""
        packet = decode(encode(self.reply({}, siaddr=1, file=b"x"), request(DISCOVER, BIOS, xid=99)))
        self.assertEqual((packet.op, packet.xid, packet.chaddr, packet.hops), (2, 99, MAC, 0))
        self.assertEqual((packet.yiaddr, packet.siaddr), (number("10.0.0.100"), 1))
        self.assertEqual(packet.file.rstrip(b"\0"), b"x")

    def test_minimum(self) -> None:
        """No reply is shorter than 300 bytes (RFC 1542 2.1)."""
        self.assertEqual(len(encode(self.reply({}), request(DISCOVER))), MINIMUM)

    def test_long_value(self) -> None:
        """A value of more than 255 bytes goes in pieces and comes back whole."""
        value = bytes(range(256)) * 2
        asked = request(DISCOVER, {57: pack("!H", 1500)})
        self.assertEqual(decode(encode(self.reply({119: value}), asked)).options[119], value)

    def test_overload(self) -> None:
        """What does not fit into 548 bytes goes into file and sname, and a reader finds it there."""
        options = {code: bytes(60) for code in range(200, 207)} | {82: b"\1\1a"}
        data = encode(self.reply(options), request(DISCOVER))
        self.assertLessEqual(len(data), 548)
        self.assertEqual(decode(data).options, {53: b"\2", 52: b"\3", **options})

    def test_no_overload_for_roms(self) -> None:
        """Boot ROMs do not read option 52: what is least important is left out; 53 is first and 82 stays, last."""
        options = {code: bytes(60) for code in range(200, 210)} | {82: b"\1\1a"}
        data = encode(self.reply(options), request(DISCOVER, BIOS))
        packet = decode(data)
        self.assertLessEqual(len(data), 548)
        self.assertNotIn(52, packet.options)
        self.assertEqual((next(iter(packet.options)), list(packet.options)[-1]), (53, 82))
        self.assertIn(200, packet.options)

    def test_client_that_takes_more(self) -> None:
        """Option 57 widens the reply, but never past the path: EDK2 says 65280."""
        options = {code: bytes(100) for code in range(200, 220)}
        for said, most in ((576, 548), (1000, 972), (65280, 1472), (0, 548), (300, 548)):
            asked = request(DISCOVER, {**BIOS, 57: pack("!H", said)})
            data = encode(self.reply(options), asked)
            self.assertLessEqual(len(data), most)
            self.assertGreater(len(data), most - 103)

    @given(st.dictionaries(st.integers(1, 254).filter(lambda code: code not in (52, 53, 82)), st.binary(max_size=600)))
    def test_round_trip(self, options: dict[int, bytes]) -> None:
        """What fits is read back as it was written."""
        if sum(len(value) + 2 * (len(value) // 255 + 1) for value in options.values()) > 1200:
            return
        asked = request(DISCOVER, {**BIOS, 57: pack("!H", 1500)})
        self.assertEqual(decode(encode(self.reply(options), asked)).options, {53: b"\2", **options})

    def test_independent_reader(self) -> None:
        """scapy, which shares no code with us, reads the same."""
        options = {54: b"\x0a\0\0\1", 51: pack("!I", 600), 1: b"\xff\xff\xff\0", 67: b"pxelinux.0\0", 60: b"PXEClient"}
        data = encode(self.reply(options, siaddr=number("10.0.0.1"), file=b"pxelinux.0"), request(DISCOVER, BIOS))
        read = ScapyBootp(data)
        self.assertEqual((read.op, read.yiaddr, read.siaddr), (2, "10.0.0.100", "10.0.0.1"))
        self.assertEqual(read.file.rstrip(b"\0"), b"pxelinux.0")
        found = {one[0]: one[1] for one in read[ScapyDhcp].options if isinstance(one, tuple)}
        self.assertEqual((found["message-type"], found["server_id"], found["lease_time"]), (2, "10.0.0.1", 600))
        self.assertEqual((found["subnet_mask"], found["vendor_class_id"]), ("255.255.255.0", b"PXEClient"))
        self.assertIn("end", read[ScapyDhcp].options)
