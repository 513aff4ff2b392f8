"""TFTP datagrams, honest and hostile."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.errors import MalformedPacket
from pybootd.tftp import packet
from pybootd.tftp.packet import ClientError, Request, decode_error, decode_request, encode_request, number

WORDS = st.binary(min_size=1, max_size=20).filter(lambda word: b"\0" not in word)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=10)


class RequestTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """An RRQ without options, as a ROM sends it."""
        request = decode_request(b"\0\1pxelinux.0\0octet\0")
        self.assertEqual(request, Request(False, b"pxelinux.0", "octet", {}))

    def test_options(self) -> None:
        """The options of an RRQ; their names and the mode in any case."""
        request = decode_request(b"\0\1a\0OCTET\0TSize\x000\0blksize\x001468\0")
        self.assertEqual(request.mode, "octet")
        self.assertEqual(request.options, {"tsize": b"0", "blksize": b"1468"})

    def test_write(self) -> None:
        """A WRQ."""
        self.assertTrue(decode_request(b"\0\2a\0netascii\0").write)

    def test_repeated_option(self) -> None:
        """Of an option that is said twice, the first counts."""
        self.assertEqual(
            decode_request(b"\0\1a\0octet\0blksize\x00512\0BLKSIZE\x001024\0").options, {"blksize": b"512"}
        )

    def test_cut_option(self) -> None:
        """An option without a value, or cut off by the end, is as if it had not been said."""
        for tail in (b"blksize", b"blksize\0", b"blksize\x00146"):
            self.assertEqual(decode_request(b"\0\1a\0octet\0" + tail).options, {}, tail)

    def test_end_marker(self) -> None:
        """The END of DHCP's options, which some ROMs take for the last letter of the name, is no letter."""
        self.assertEqual(decode_request(b"\0\1ipxe.efi\xff\0octet\0").name, b"ipxe.efi")

    def test_many_options(self) -> None:
        """A thousand options cost nothing much, and break nothing."""
        datagram = b"\0\1a\0octet\0" + b"".join(b"o%d\x001\0" % option for option in range(1000))
        self.assertLess(len(decode_request(datagram).options), 32)

    def test_alike(self) -> None:
        """The same bytes are the same request; what is longer than requests are is not kept for the next one."""
        short = b"\0\1alike\0octet\0blksize\x001468\0"
        self.assertIs(decode_request(short), decode_request(bytes(bytearray(short))))
        long = b"\0\1" + b"n" * 512 + b"\0octet\0"
        self.assertEqual(decode_request(long), decode_request(long))
        self.assertIsNot(decode_request(long), decode_request(long))

    def test_malformed(self) -> None:
        """Everything that is no request is said to be none."""
        for datagram in (
            b"",
            b"\0",
            b"\0\1",
            b"\0\1\0",
            b"\0\1a",
            b"\0\1a\0",
            b"\0\1a\0octet",
            b"\0\1\0octet\0",
            b"\0\3\0\1",
            b"\1\0a\0octet\0",
        ):
            self.assertRaises(MalformedPacket, decode_request, datagram)

    @given(
        st.builds(
            Request,
            st.booleans(),
            WORDS.filter(lambda name: name[-1] != 0xFF),
            NAMES,
            st.dictionaries(NAMES, WORDS, max_size=8),
        )
    )
    def test_round_trip(self, request: Request) -> None:
        """What a client says is what is read."""
        self.assertEqual(decode_request(encode_request(request)), request)

    @given(st.binary(max_size=600), st.sampled_from((b"", b"\0\1", b"\0\2", b"\0\5")))
    def test_anything(self, noise: bytes, start: bytes) -> None:
        """No datagram raises anything but MalformedPacket."""
        with contextlib.suppress(MalformedPacket):
            decode_request(start + noise)
        decode_error(start + noise)
        packet.opcode(start + noise)


class NumberTests(SynchronousTestCase):
    def test_digits(self) -> None:
        """ASCII digits within the range are a number."""
        self.assertEqual(number(b"512", 8, 65464), 512)
        self.assertEqual(number(b"8", 8, 65464), 8)
        self.assertEqual(number(b"65464", 8, 65464), 65464)

    def test_others(self) -> None:
        """Whatever else Python or C would take for a number is none."""
        for text in (
            b"",
            b"7",
            b"65465",
            b"-1",
            b"+512",
            b" 512",
            b"512 ",
            b"5_12",
            b"1e3",
            b"0x200",
            b"512\n",
            b"9" * 5000,
        ):
            self.assertIsNone(number(text, 8, 65464), text)
        self.assertIsNone(number("٥١٢".encode(), 8, 65464))


class ReplyTests(SynchronousTestCase):
    def test_data(self) -> None:
        """DATA and ACK carry the number's lower 16 bits."""
        self.assertEqual(packet.data(1, b"x"), b"\0\3\0\1x")
        self.assertEqual(packet.data(65536, b""), b"\0\3\0\0")
        self.assertEqual(packet.ack(65537), b"\0\4\0\1")

    def test_oack(self) -> None:
        """An OACK has names and values, each ended by NUL."""
        self.assertEqual(packet.oack([("tsize", 0), ("blksize", 1468)]), b"\0\6tsize\x000\0blksize\x001468\0")

    def test_error(self) -> None:
        """An ERROR is one short NUL-terminated ASCII text, whatever goes in."""
        self.assertEqual(packet.error(1, "File not found"), b"\0\5\0\1File not found\0")
        hostile = packet.error(0, "é\0" + "x" * 70000)
        self.assertLess(len(hostile), 512)
        self.assertEqual(hostile.count(b"\0"), 4)

    def test_client_error(self) -> None:
        """A client's ERROR is read with and without its text."""
        self.assertEqual(decode_error(b"\0\5\0\x08User aborted\0junk"), ClientError(8, b"User aborted"))
        self.assertEqual(decode_error(b"\0\5\0\1"), ClientError(1, b""))
        self.assertEqual(decode_error(b"\0\5\0"), ClientError(0, b""))
