"""The table of options."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.options import BY_CODE, OPTIONS, describe, dotted, read_number
from pybootd.errors import MalformedPacket

VALUES = {
    "subnet_mask": 0xFFFFFF00,
    "router": (1, 2),
    "host_name": "node",
    "boot_file_size": 700,
    "lease_time": 86400,
    "message_type": 5,
    "parameter_request_list": (1, 3, 6),
    "client_architecture": (7, 16),
    "client_identifier": b"\xff\1",
}


class OptionTests(SynchronousTestCase):
    """L{OPTIONS}."""

    def test_round_trip(self) -> None:
        """Each kind of value is written and read back."""
        by_name = {option.name: option for option in OPTIONS}
        for name, value in VALUES.items():
            option = by_name[name]
            self.assertEqual(option.decode(option.codec.encode(value)), value, name)

    def test_unique(self) -> None:
        """No code and no name stands twice."""
        self.assertEqual(len(BY_CODE), len(OPTIONS))
        self.assertEqual(len({option.name for option in OPTIONS}), len(OPTIONS))

    def test_odd_lengths(self) -> None:
        """Numbers and addresses of another length are malformed, and the message names the option."""
        for code, raw in ((1, b"\1"), (3, b""), (3, b"\1\2\3"), (51, b"\1\2\3\4\5"), (53, b""), (93, b"\1")):
            error = self.assertRaises(MalformedPacket, BY_CODE[code].decode, raw)
            self.assertIn(BY_CODE[code].name, str(error))

    @given(st.integers(0, 255), st.binary(max_size=64))
    def test_describe(self, code: int, raw: bytes) -> None:
        """Any value can be shown, on one line and without control characters."""
        self.assertTrue(describe(code, raw).isprintable())

    def test_described(self) -> None:
        """Addresses as people write them."""
        self.assertEqual(describe(6, b"\x0a\0\0\1\x0a\0\0\2"), "10.0.0.1, 10.0.0.2")
        self.assertEqual(describe(67, b"a\x1bb\0"), "a\\x1bb")
        self.assertEqual(dotted(0x0A000001), "10.0.0.1")

    def test_read_number(self) -> None:
        """A number of just that many bytes, else 0."""
        rows = [(b"\1\2", 2, 258), (b"\1", 2, 0), (b"\1\2\3", 2, 0), (None, 2, 0), (b"", 1, 0)]
        for raw, size, value in rows:
            self.assertEqual(read_number(raw, size), value)
