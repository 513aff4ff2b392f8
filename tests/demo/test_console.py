"""What a serial console prints becomes lines."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.demo.console import Lines


class LinesTests(SynchronousTestCase):
    """L{Lines}"""

    def test_pieces(self) -> None:
        """A line comes when it is whole, in however many pieces it arrived."""
        lines = Lines()
        self.assertEqual([lines.feed(piece) for piece in (b"Sea", b"BIOS\r", b"\niP")], [[], ["SeaBIOS"], []])
        self.assertEqual(lines.end(), ["iP"])

    def test_terminal(self) -> None:
        """What steers a terminal is left out, even where it arrives in two halves."""
        lines = Lines()
        self.assertEqual(lines.feed(b"\x1b[2J\x1b[01;01Hone\x1b["), [])
        self.assertEqual(lines.feed(b"0m\n"), ["one"])

    def test_hostile(self) -> None:
        """Whatever else does not print is escaped."""
        self.assertEqual(Lines().feed(b"a\x07b\n"), ["a\\x07b"])

    def test_progress(self) -> None:
        """Of a progress that is written over itself the end remains."""
        lines = Lines()
        self.assertEqual(lines.feed(b"linux... 10%\b\b\b\b 55%\rlinux... ok\n"), ["linux... ok"])

    def test_repetition(self) -> None:
        """A line that says the same as the one before, and an empty one, are left out."""
        self.assertEqual(Lines().feed(b"one\n\n  one\ntwo\n"), ["one", "two"])

    def test_endless(self) -> None:
        """A line without an end takes a fixed amount of memory."""
        lines = Lines()
        for _ in range(100):
            lines.feed(b"x" * 1000)
        self.assertLess(len(lines.end()[0]), 5000)
