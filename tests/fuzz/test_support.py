"""What the targets lean on can fail."""

from __future__ import annotations

from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.support import no_failures, shown


class SupportTests(SynchronousTestCase):
    """The promises that all targets share."""

    def test_shown(self) -> None:
        """A line break, a sequence that steers a terminal, or endless text is no text to show."""
        shown("a sentence")
        for text in ("a\nb", "\x1b[2J", "\u2028", "x" * 1001):
            self.assertRaises(AssertionError, shown, text)

    def test_failures(self) -> None:
        """A failure that is logged is one, though nobody raised it."""
        with self.assertRaises(AssertionError), no_failures():
            try:
                raise ZeroDivisionError
            except ZeroDivisionError:
                Logger().failure("it failed")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
