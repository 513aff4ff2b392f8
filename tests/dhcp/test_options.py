"""The table of options."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.options import BY_CODE, OPTIONS, describe, dotted, name_of, read_number
from pybootd.errors import MalformedPacket

ROWS = [
    ("subnet_mask", b"\xff\xff\xff\0", 0xFFFFFF00, "255.255.255.0"),
    ("router", b"\x0a\0\0\1\x0a\0\0\2", (0x0A000001, 0x0A000002), "10.0.0.1, 10.0.0.2"),
    ("host_name", b"node", "node", "node"),
    ("boot_file_size", b"\2\xbc", 700, "700"),
    ("lease_time", b"\0\1\x51\x80", 86400, "86400"),
    ("message_type", b"\5", 5, "ACK"),
    ("parameter_request_list", b"\1\3\6", (1, 3, 6), "1, 3, 6"),
    ("client_architecture", b"\0\7\0\x10", (7, 16), "x64-uefi, x64-uefi-http"),
    ("client_identifier", b"\xff\1", b"\xff\1", "ff 01"),
    ("user_class", b"iPXE", b"iPXE", '"iPXE"'),
]


class OptionTests(SynchronousTestCase):
    """L{OPTIONS}."""

    def test_rows(self) -> None:
        """Each kind of value is read, written, and shown."""
        by_name = {option.name: option for option in OPTIONS}
        for name, raw, value, shown in ROWS:
            option = by_name[name]
            self.assertEqual(option.decode(raw), value, name)
            self.assertEqual(option.codec.encode(value), raw, name)
            self.assertEqual(describe(option.code, raw), shown, name)

    def test_unique(self) -> None:
        """No code and no name stands twice, and the codes rise."""
        codes = [option.code for option in OPTIONS]
        self.assertEqual(codes, sorted(set(codes)))
        self.assertEqual(len({option.name for option in OPTIONS}), len(OPTIONS))

    def test_odd_lengths(self) -> None:
        """Numbers and addresses of a length that they cannot have are malformed, and the message names the option."""
        for option in OPTIONS:
            for raw in (bytes(size) for size in range(12)):
                try:
                    value = option.decode(raw)
                except MalformedPacket as error:
                    self.assertIn(f"option {option.code} {option.name}: ", str(error))
                    continue
                if isinstance(value, int | tuple):
                    self.assertEqual(option.codec.encode(value), raw, option.name)
        for code, raw in ((1, b"\1"), (3, b""), (3, b"\1\2\3"), (51, b"\1\2\3\4\5"), (53, b""), (93, b"\1")):
            self.assertRaises(MalformedPacket, BY_CODE[code].decode, raw)

    @given(st.sampled_from(OPTIONS), st.binary(max_size=64))
    def test_stable(self, option: object, raw: bytes) -> None:
        """What is read and written again is read alike."""
        try:
            value = option.decode(raw)
        except MalformedPacket:
            return
        self.assertEqual(option.decode(option.codec.encode(value)), value)

    def test_names(self) -> None:
        """An option without a row has a number."""
        self.assertEqual((name_of(82), name_of(222)), ("relay_agent_information", "option 222"))

    def test_read_number(self) -> None:
        """A number of just that many bytes, else 0."""
        rows = [(b"\1\2", 2, 258), (b"\1", 2, 0), (b"\1\2\3", 2, 0), (None, 2, 0), (b"", 1, 0)]
        for raw, size, value in rows:
            self.assertEqual(read_number(raw, size), value)

    def test_dotted(self) -> None:
        """Addresses as people write them."""
        self.assertEqual(
            [dotted(0), dotted(0x0A000001), dotted(0xFFFFFFFF)], ["0.0.0.0", "10.0.0.1", "255.255.255.255"]
        )


class DescribeTests(SynchronousTestCase):
    """L{describe}."""

    @given(st.integers(0, 255), st.binary(max_size=64))
    def test_anything(self, code: int, raw: bytes) -> None:
        """Any value can be shown, on one line and without control characters."""
        self.assertTrue(describe(code, raw).isprintable())

    def test_rows(self) -> None:
        """What is no value of its kind shows as hexadecimal, text that is hostile is escaped, parts are told apart."""
        rows = [
            (1, b"\1\2", "01 02"),
            (67, b"a\x1bb\0", "a\\x1bb"),
            (12, b"", "(empty)"),
            (61, b"", "(empty)"),
            (53, b"\x63", "99"),
            (97, bytes.fromhex("00ccbbaa7722114433556677889900aabb"), "77aabbcc-1122-3344-5566-77889900aabb"),
            (97, b"\1\2", "01 02"),
            (43, b"\6\1\x08\x47\4\x80\0\0\0\xff", "discovery control 08; chosen item 80 00 00 00"),
            (43, b"\x06\x09", "06 09"),
            (82, b"\1\3br1\5\4\x0a\0\0\0\x99\1\2", 'circuit "br1"; link 0a 00 00 00; 153 02'),
            (175, b"\xb0\1\1", "no PXE DHCP 01"),
            (222, b"own", '"own"'),
        ]
        for code, raw, shown in rows:
            self.assertEqual(describe(code, raw), shown)
