"""Packets on the wire, read and written; and what is no packet."""

from __future__ import annotations

from random import Random
from struct import pack

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP as ScapyBootp
from scapy.layers.dhcp import DHCP as ScapyDhcp
from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.client import understand
from pybootd.dhcp.decision import MessageType, Reply
from pybootd.dhcp.delivery import route
from pybootd.dhcp.dump import dump
from pybootd.dhcp.packet import COOKIE, HEADER, LARGEST, MINIMUM, decode, encode
from pybootd.errors import MalformedPacket
from tests.support.captures import BY_NAME, CAPTURES
from tests.support.dhcp import BIOS, DISCOVER, MAC, datagram, number, request

FREE_CODES = st.integers(1, 254).filter(lambda code: code not in (52, 53, 82))


def body(options: bytes, *, sname: bytes = b"", file: bytes = b"") -> bytes:
    """A DISCOVER with these bytes in its options field."""
    head = HEADER.pack(1, 1, 6, 0, 1, 0, 0, 0, 0, 0, 0, MAC.ljust(16, b"\0"), sname, file)
    return head + COOKIE + options


class DecodeTests(SynchronousTestCase):
    """What arrives."""

    def test_fields(self) -> None:
        """Each field is read; chaddr has as many bytes as hlen says."""
        data = datagram(DISCOVER, BIOS, giaddr="10.0.0.2", ciaddr="10.0.0.3", flags=0x8000, xid=7)
        packet = decode(data)
        self.assertEqual((packet.op, packet.htype, packet.hops, packet.secs), (1, 1, 0, 0))
        self.assertEqual((packet.xid, packet.flags, packet.chaddr), (7, 0x8000, MAC))
        self.assertEqual((packet.giaddr, packet.ciaddr), (number("10.0.0.2"), number("10.0.0.3")))
        self.assertEqual((packet.dhcp, packet.size), (True, len(data)))
        self.assertEqual(packet.options, {53: b"\1", **BIOS})

    def test_hardware_length(self) -> None:
        """hlen may be anything that the field holds; no more is read of it than that."""
        for size in (0, 1, 7, 16):
            data = bytearray(body(b"\x35\1\1\xff"))
            data[2] = size
            self.assertEqual(decode(bytes(data)).chaddr, MAC.ljust(16, b"\0")[:size])

    def test_bootp(self) -> None:
        """A packet without option 53, or without the cookie, is BOOTP; the vendor's area may be missing."""
        self.assertFalse(decode(datagram(None)).dhcp)
        for rest in (b"\x35\1\1\xff".ljust(64, b"\0"), b"\x63\x82\x53", b""):
            packet = decode(datagram(DISCOVER)[:236] + rest)
            self.assertEqual((packet.dhcp, packet.options), (False, {}))

    def test_pad_and_end(self) -> None:
        """Pads are passed over, a missing END is forgiven, and what follows it is no option."""
        options = {53: b"\1", 12: b"a"}
        for raw in (b"\0\0\x35\1\1\0\x0c\1a", b"\x35\1\1\x0c\1a\xff", b"\x35\1\1\x0c\1a\xff\x0f\xffgarbage"):
            self.assertEqual(decode(body(raw)).options, options)

    def test_long_option(self) -> None:
        """Pieces of one option are joined, wherever they stand (RFC 3396 7)."""
        self.assertEqual(decode(body(b"\x35\1\1\x0c\2ab\x0f\1x\x0c\1c\xff")).options[12], b"abc")
        packet = decode(body(b"\x35\1\1\x34\1\3\x0c\2ab\xff", file=b"\x0c\2cd\xff", sname=b"\x0c\2ef\xff"))
        self.assertEqual(packet.options[12], b"abcdef")

    def test_overload(self) -> None:
        """Options in file and sname are read where option 52 says so, and those fields hold nothing else then."""
        file, sname = b"\x0c\1f\xff", b"\x0f\1s\xff"
        rows = {
            0: ({}, sname.ljust(64, b"\0"), file.ljust(128, b"\0")),
            1: ({12: b"f"}, sname.ljust(64, b"\0"), b""),
            2: ({15: b"s"}, b"", file.ljust(128, b"\0")),
            3: ({12: b"f", 15: b"s"}, b"", b""),
        }
        for areas, (options, left_sname, left_file) in rows.items():
            packet = decode(body(b"\x35\1\1\x34\1" + bytes((areas, 255)), file=file, sname=sname))
            self.assertEqual(packet.options, {53: b"\1", 52: bytes((areas,)), **options})
            self.assertEqual((packet.sname, packet.file), (left_sname, left_file))

    def test_overload_once(self) -> None:
        """An option 52 within an overloaded field leads nowhere: each field is read once."""
        packet = decode(body(b"\x35\1\1\x34\1\1\xff", file=b"\x34\1\3\x0c\1f\xff", sname=b"\x0f\1s\xff"))
        self.assertEqual(packet.options, {53: b"\1", 52: b"\1\3", 12: b"f"})

    def test_malformed(self) -> None:
        """Whatever is short, foreign, or runs over the end of its field is no packet."""
        good = datagram(DISCOVER)
        rows = {
            "empty": b"",
            "one byte": b"\1",
            "one byte less than a header": good[:235],
            "larger than any client's": good.ljust(LARGEST + 1, b"\0"),
            "op 0": b"\0" + good[1:],
            "op 3": b"\3" + good[1:],
            "hlen 17": good[:2] + b"\x11" + good[3:],
            "hlen 255": good[:2] + b"\xff" + good[3:],
            "option over the end": body(b"\x35\1\1\x0c\x09abc"),
            "option without length": body(b"\x35\1\1\x0c"),
            "option one byte over the end": body(b"\x35\1\1\x0c\4abc"),
            "option over the end of file": body(b"\x35\1\1\x34\1\1\xff", file=b"\x0c\xfe" + b"a" * 126),
            "option over the end of sname": body(b"\x35\1\1\x34\1\2\xff", sname=b"\0" * 63 + b"\x0c"),
        }
        for name, data in rows.items():
            try:
                decode(data)
            except MalformedPacket:
                continue
            self.fail(name)


class EncodeTests(SynchronousTestCase):
    """What leaves."""

    def reply(self, options: dict[int, bytes], **fields: object) -> Reply:
        """An OFFER with these options behind option 53."""
        return Reply(MessageType.OFFER, yiaddr=number("10.0.0.100"), options={53: b"\2", **options}, **fields)

    def test_header(self) -> None:
        """xid, htype and chaddr are the client's; op is a reply's; hops and secs are 0."""
        reply = self.reply({}, ciaddr=5, siaddr=1, giaddr=6, flags=0x8000, file=b"x", sname=b"s")
        packet = decode(encode(reply, request(DISCOVER, BIOS, xid=99)))
        self.assertEqual((packet.op, packet.htype, packet.hops, packet.xid, packet.secs), (2, 1, 0, 99, 0))
        self.assertEqual((packet.chaddr, packet.flags), (MAC, 0x8000))
        addresses = (packet.ciaddr, packet.yiaddr, packet.siaddr, packet.giaddr)
        self.assertEqual(addresses, (5, number("10.0.0.100"), 1, 6))
        self.assertEqual((packet.sname, packet.file), (b"s".ljust(64, b"\0"), b"x".ljust(128, b"\0")))

    def test_infiniband(self) -> None:
        """A client without a hardware address in its header is answered without one (RFC 4390 2.1)."""
        data = encode(self.reply({}), request(DISCOVER, {61: b"\0id"}, mac=b"", htype=32))
        self.assertEqual((data[1], data[2], data[28:44]), (32, 0, bytes(16)))

    def test_order(self) -> None:
        """Options leave in the order of the reply, closed by END; nothing but zeroes follows, up to 300 bytes."""
        data = encode(self.reply({54: b"\x0a\0\0\1", 3: b"\x0a\0\0\2", 82: b"\1\1a"}), request(DISCOVER))
        options = b"\x35\1\2\x36\4\x0a\0\0\1\3\4\x0a\0\0\2\x52\3\1\1a\xff"
        self.assertEqual(data[236:], (COOKIE + options).ljust(MINIMUM - 236, b"\0"))

    def test_long_value(self) -> None:
        """A value of more than 255 bytes goes in pieces and comes back whole."""
        asked = request(DISCOVER, {57: pack("!H", 1500)})
        for size in (255, 256, 510, 511, 700):
            value = bytes(index % 251 for index in range(size))
            self.assertEqual(decode(encode(self.reply({119: value}), asked)).options[119], value)

    def test_overload(self) -> None:
        """What does not fit into 548 bytes goes into file, then sname, and a reader finds it there."""
        for many, areas in ((4, None), (6, b"\1"), (7, b"\3")):
            options = {code: bytes(60) for code in range(200, 200 + many)} | {82: b"\1\1a"}
            data = encode(self.reply(options), request(DISCOVER))
            self.assertLessEqual(len(data), 548)
            packet = decode(data)
            self.assertEqual(packet.options.get(52), areas, str(many))
            self.assertEqual({**packet.options, 52: b""}, {53: b"\2", 52: b"", **options})
            self.assertEqual(data[240:243], b"\x35\1\2")

    def test_overload_spares_what_is_used(self) -> None:
        """A field that has its own content keeps it."""
        options = {code: bytes(60) for code in range(200, 210)}
        packet = decode(encode(self.reply(options, file=b"name"), request(DISCOVER)))
        self.assertEqual((packet.file.rstrip(b"\0"), packet.options[52]), (b"name", b"\2"))
        packet = decode(encode(self.reply(options, sname=b"name"), request(DISCOVER)))
        self.assertEqual((packet.sname.rstrip(b"\0"), packet.options[52]), (b"name", b"\1"))
        packet = decode(encode(self.reply(options, sname=b"name", file=b"name"), request(DISCOVER)))
        self.assertNotIn(52, packet.options)

    def test_no_overload_for_roms(self) -> None:
        """Boot ROMs do not read option 52: what is least important is left out; 53 is first and 82 stays, last."""
        options = {code: bytes(60) for code in range(200, 210)} | {82: b"\1\1a"}
        data = encode(self.reply(options), request(DISCOVER, BIOS))
        self.assertLessEqual(len(data), 548)
        self.assertEqual(list(decode(data).options), [53, 200, 201, 202, 203, 82])

    def test_large_relay_option(self) -> None:
        """It is echoed as long as what the client needs has room; else it is left out, whole (RFC 3046 2.2)."""
        options = {54: bytes(4), 51: bytes(4), 1: bytes(4), 67: bytes(80), 200: bytes(150)}
        for asks in ({}, BIOS):
            for size, stays in ((150, True), (400, False), (2000, False)):
                data = encode(self.reply(options | {82: bytes(size)}), request(DISCOVER, asks))
                self.assertLessEqual(len(data), 548)
                read = decode(data).options
                self.assertEqual((82 in read, read[53], read[67]), (stays, b"\2", bytes(80)), str(size))
        bootp = encode(Reply(MessageType.BOOTP, options={1: bytes(4), 15: bytes(50), 82: bytes(20)}), request(None))
        self.assertEqual(decode(bootp).options[82], bytes(20))

    def test_identity_stays(self) -> None:
        """Where not all has room, the client's identifier goes before what it can do without (RFC 6842 3)."""
        options = {54: bytes(4), 43: bytes(230), 67: bytes(60), 61: b"\xff" + bytes(18), 82: b"\1\1a"}
        data = encode(self.reply(options), request(DISCOVER, BIOS))
        self.assertEqual(list(decode(data).options), [53, 54, 61, 43, 82])

    def test_client_that_takes_more(self) -> None:
        """Option 57 widens the reply, but never past the path: EDK2 says 65280."""
        options = {code: bytes(100) for code in range(200, 220)}
        for said, most in ((576, 548), (1000, 972), (65280, 1472), (0, 548), (300, 548)):
            asked = request(DISCOVER, {**BIOS, 57: pack("!H", said)})
            data = encode(self.reply(options), asked)
            self.assertLessEqual(len(data), most)
            self.assertGreater(len(data), most - 103)

    def test_bootp(self) -> None:
        """A BOOTP client reads 300 bytes, or as many as it sent (RFC 951); there is no option 52 for it."""
        reply = Reply(MessageType.BOOTP, options={code: bytes(20) for code in range(150, 250)})
        for size, most in ((300, 300), (400, 400), (3000, 1472)):
            asked = understand(decode(datagram(None).ljust(size, b"\0")))
            data = encode(reply, asked)
            self.assertLessEqual(len(data), most)
            self.assertGreater(len(data), most - 23)
            self.assertNotIn(52, decode(data).options)

    @given(st.dictionaries(FREE_CODES, st.binary(max_size=600), max_size=12))
    def test_round_trip(self, options: dict[int, bytes]) -> None:
        """What fits is read back as it was written; what does not is left out whole, and the rest is as it was."""
        asked = request(DISCOVER, {**BIOS, 57: pack("!H", 1500)})
        data = encode(self.reply(options), asked)
        self.assertLessEqual(len(data), 1472)
        told = {53: b"\2", **options}
        read = decode(data).options
        self.assertEqual({**told, **read}, told)
        if sum(len(value) + 2 * (len(value) // 255 + 1) for value in told.values()) < 1472 - 241:
            self.assertEqual(list(read), list(told))

    @given(st.dictionaries(FREE_CODES, st.binary(max_size=300), max_size=12), st.binary(max_size=200))
    def test_round_trip_of_overload(self, options: dict[int, bytes], relay: bytes) -> None:
        """A client that is no ROM finds every option that was sent, wherever it was put."""
        data = encode(self.reply({**options, 82: relay}), request(DISCOVER))
        self.assertLessEqual(len(data), 548)
        told = {53: b"\2", **options, 82: relay}
        read = dict(decode(data).options)
        read.pop(52, None)
        self.assertEqual({**told, **read}, told)
        self.assertEqual((read[53], read[82]), (b"\2", relay))

    def test_independent_reader(self) -> None:
        """scapy, which shares no code with us, reads the same."""
        options = {
            54: b"\x0a\0\0\1", 51: pack("!I", 600), 1: b"\xff\xff\xff\0", 3: b"\x0a\0\0\1", 6: b"\x0a\0\0\1\x0a\0\0\2",
            15: b"example.org", 66: b"10.0.0.1", 67: b"pxelinux.0\0", 60: b"PXEClient", 82: b"\1\2ab",
        }  # fmt: skip
        data = encode(self.reply(options, siaddr=number("10.0.0.1"), file=b"pxelinux.0"), request(DISCOVER, BIOS))
        read = ScapyBootp(data)
        self.assertEqual((read.op, read.yiaddr, read.siaddr), (2, "10.0.0.100", "10.0.0.1"))
        self.assertEqual((read.chaddr[:6], read.file.rstrip(b"\0")), (MAC, b"pxelinux.0"))
        listed = read[ScapyDhcp].options
        found = {one[0]: one[1] for one in listed if isinstance(one, tuple)}
        self.assertEqual((found["message-type"], found["server_id"], found["lease_time"]), (2, "10.0.0.1", 600))
        self.assertEqual((found["subnet_mask"], found["router"]), ("255.255.255.0", "10.0.0.1"))
        self.assertEqual((found["vendor_class_id"], found["domain"]), (b"PXEClient", b"example.org"))
        self.assertIn(("name_server", "10.0.0.1", "10.0.0.2"), listed)
        self.assertEqual(listed[0], ("message-type", 2))
        self.assertEqual(listed[listed.index("end") - 1][0], "relay_agent_information")


class HostileTests(SynchronousTestCase):
    """Whatever arrives, nothing else than L{MalformedPacket} comes of it."""

    def survive(self, data: bytes) -> bool:
        """Take a datagram all the way; whether it was a request."""
        try:
            packet = decode(data)
            lines = list(dump(packet))
            asked = understand(packet, ("10.0.0.9", 68), data[-1] % 2 * (4011 - 67) + 67 if data else 67)
        except MalformedPacket:
            return False
        self.assertTrue(all(line.isprintable() for line in lines), data.hex())
        reply = Reply(MessageType.ACK, options={53: b"\5", **asked.options})
        route(asked, reply)
        self.assertLessEqual(len(encode(reply, asked)), max(1472, len(data) + MINIMUM))
        return True

    @given(st.binary(max_size=700))
    def test_anything(self, data: bytes) -> None:
        """Bytes without any sense, as a whole packet or where options stand."""
        for one in (data, body(data), body(data[:300], file=data[300:428], sname=data[428:492])):
            self.survive(one)

    def test_odd_lengths(self) -> None:
        """Every option in every length from 0 to 20, and the longest: an odd one is as if it were absent."""
        for code in range(1, 255):
            for size in (*range(21), 255):
                for filler in (0, 1, 0xFF):
                    option = bytes((code, size)) + bytes((filler,)) * size
                    known = b"" if code == 53 else b"\x35\1\1"
                    self.assertEqual(self.survive(body(known + option)), code != 53 or (size, filler) == (1, 1))

    def test_mutations(self) -> None:
        """Thousands of damaged packets of real clients: bytes changed, cut off, doubled."""
        dice = Random(4)
        served = 0
        for _ in range(6000):
            data = bytearray(dice.choice(CAPTURES).data)
            for _ in range(dice.randint(0, 6)):
                data[dice.randrange(len(data))] = dice.randrange(256)
            if dice.random() < 0.3:
                begin = dice.randrange(240, len(data))
                data[begin:begin] = data[240 : dice.randrange(240, len(data))]
            if dice.random() < 0.3:
                del data[dice.randrange(len(data)) :]
            served += self.survive(bytes(data))
        self.assertGreater(served, 500)

    def test_size_of_work(self) -> None:
        """However often something stands in a packet, as much of it is read as an honest client may send."""
        many = b"\x5d\xfe" + b"\0\7" * 127
        asked = understand(decode(body(b"\x35\1\1" + many * 12 + (b"\x37\xff" + b"\1" * 255) * 2)))
        self.assertEqual(asked.architectures, (7,) * 8)
        self.assertEqual(len(asked.parameters), 255)

    def test_captures(self) -> None:
        """What real clients send is read and written again byte for byte, but for what a server has no need to keep."""
        for capture in CAPTURES:
            packet = decode(capture.data)
            self.assertEqual((packet.op, packet.htype, len(packet.chaddr)), (1, 1, 6), capture.client)
            reply = Reply(MessageType.ACK, options=packet.options)
            again = encode(reply, understand(packet, capture.source, capture.destination[1]))
            end = capture.data.rindex(b"\xff") + 1
            self.assertEqual(again[240:end], capture.data[240:end], f"{capture.client} {capture.kind}")

    def test_largest_ask(self) -> None:
        """EDK2's 65280 in option 57 is seen as said, and not believed."""
        asked = BY_NAME["ovmf-pxe", "SELECTING"].request
        self.assertEqual(asked.max_size, 65280)
        reply = Reply(MessageType.ACK, options={code: bytes(200) for code in range(200, 220)})
        self.assertLessEqual(len(encode(reply, asked)), 1472)
