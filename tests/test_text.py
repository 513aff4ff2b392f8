"""Foreign text becomes one harmless line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.text import LIMIT, printable


class PrintableTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """Ordinary names in any script, and Windows' backslashes, stay as they are."""
        for name in ("pxelinux.0", "Ünïcödé/内核", "\\Boot\\BCD", "a b"):
            self.assertEqual(printable(name), name)
            self.assertEqual(printable(name.encode()), name)

    def test_escapes(self) -> None:
        """Whatever could forge a line or steer a terminal shows as an escape."""
        for text, shown in (
            ("a\nb", "a\\x0ab"),
            ("\x1b[2J", "\\x1b[2J"),
            ("\x7f\x00", "\\x7f\\x00"),
            ("\u2028", "\\u2028"),
            ("\u202eexe", "\\u202eexe"),
            ("\u2066", "\\u2066"),
            ("\x85\xa0", "\\x85\\xa0"),
            ("\U000e0001", "\\U000e0001"),
            ("\ud800", "\\ud800"),
        ):
            self.assertEqual(printable(text), shown, ascii(text))

    def test_broken_utf8(self) -> None:
        """Bytes that are no UTF-8 show as their value, also in names that were decoded to carry them."""
        self.assertEqual(printable(b"ipxe.efi\xff"), "ipxe.efi\\xff")
        self.assertEqual(printable(b"\xc3".decode("utf-8", "surrogateescape")), "\\xc3")

    def test_bounded(self) -> None:
        """Long text is cut, and shows that it was."""
        self.assertEqual(printable("x" * LIMIT), "x" * LIMIT)
        self.assertEqual(printable(b"x" * (LIMIT + 1)), "x" * LIMIT + "…")
        self.assertEqual(printable("abcdef", 3), "abc…")
        self.assertEqual(printable("é".encode() * 10_000), "é" * LIMIT + "…")

    @given(st.one_of(st.binary(), st.text(st.characters())))
    def test_anything(self, text: bytes | str) -> None:
        """Whatever comes in, one printable line goes out."""
        shown = printable(text)
        self.assertTrue(shown.isprintable())
        self.assertLessEqual(len(shown), 10 * LIMIT + 1)
