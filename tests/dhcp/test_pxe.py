"""What PXE and iPXE put into options."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp import architectures, pxe


class EncapsulationTests(SynchronousTestCase):
    """Options within an option."""

    @given(st.lists(st.tuples(st.integers(1, 254), st.binary(max_size=40)), max_size=5))
    def test_round_trip(self, parts: list[tuple[int, bytes]]) -> None:
        """What is put in comes out."""
        self.assertEqual(list(pxe.suboptions(pxe.encapsulate(parts))), parts)

    def test_damaged(self) -> None:
        """What is cut off is left out; pads are passed over; nothing follows 255."""
        rows = {
            b"\x06": [],
            b"\x06\x04ab": [],
            b"\0\0\x06\1a": [(6, b"a")],
            b"\xff\x06\1a": [],
            b"\x06\1a\x07": [(6, b"a")],
        }
        for raw, parts in rows.items():
            self.assertEqual(list(pxe.suboptions(raw)), parts)

    def test_user_class(self) -> None:
        """RFC 3004 form and iPXE's bare word."""
        rows = {
            b"iPXE": b"iPXE",
            b"\x04iPXE": b"iPXE",
            b"\x04iPXE\x02ab": b"iPXE",
            b"": b"",
            b"\x09ab": b"\x09ab",
            b"a\0": b"a",
        }
        for raw, word in rows.items():
            self.assertEqual(pxe.user_class(raw), word)

    def test_swapped(self) -> None:
        """The other byte order of a UUID, as Python's own UUID has it; twice is once."""
        wire = bytes.fromhex("ccbbaa7722114433556677889900aabb")
        self.assertEqual(pxe.swapped(wire), UUID(bytes_le=wire).bytes)
        self.assertEqual(pxe.swapped(pxe.swapped(wire)), wire)


class ArchitectureTests(SynchronousTestCase):
    """Names and numbers of architectures."""

    def test_named(self) -> None:
        """Five digits, any other form of the number, and names."""
        for word in ("00007", "7", "0x07", "x64-uefi", "X64-UEFI"):
            self.assertEqual(architectures.named(word), 7)
        self.assertIsNone(architectures.named("default"))
        for word in ("70000", "0x", "x65-uefi", "-1", ""):
            self.assertRaises(ValueError, architectures.named, word)

    def test_unique(self) -> None:
        """No number and no name stands twice."""
        rows = architectures.ARCHITECTURES
        self.assertEqual(len({one.number for one in rows}), len(rows))
        self.assertEqual(len({one.name for one in rows}), len(rows))

    def test_name_of(self) -> None:
        """Every number has something to be called by."""
        self.assertEqual(architectures.name_of(0), "bios")
        self.assertEqual(architectures.name_of(999), "architecture 999")
