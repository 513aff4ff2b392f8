"""How a line of the configuration is named."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.config.origin import Origin, Problem


class OriginTests(SynchronousTestCase):
    """L{Origin} prints as people look for it."""

    def test_line(self) -> None:
        """File, line, section and option."""
        self.assertEqual(str(Origin("pybootd.ini", 14, "bootpd", "pool_start")), "pybootd.ini:14: [bootpd] pool_start")

    def test_section(self) -> None:
        """A section alone."""
        self.assertEqual(str(Origin("pybootd.ini", 3, "mac")), "pybootd.ini:3: [mac]")

    def test_default(self) -> None:
        """What nobody wrote is called a default."""
        self.assertEqual(str(Origin("", 0, "bootpd", "lease_time")), "[bootpd] lease_time (default)")


class ProblemTests(SynchronousTestCase):
    """L{Problem} is one line that a person can act on."""

    def test_value(self) -> None:
        """Where, what was written, what is wrong."""
        origin = Origin("pybootd.ini", 14, "bootpd", "pool_start")
        self.assertEqual(str(Problem(origin, "no", "x")), "pybootd.ini:14: [bootpd] pool_start = x: no")

    def test_no_value(self) -> None:
        """Where the value does not matter, it is left out."""
        self.assertEqual(str(Problem(Origin("pybootd.ini", 2, "mac"), "no")), "pybootd.ini:2: [mac]: no")
        self.assertEqual(str(Problem(Origin("pybootd.ini", 2, ""), "no")), "pybootd.ini:2: no")

    def test_one_line(self) -> None:
        """Whatever stands in the file, it stays one line of text."""
        text = str(Problem(Origin("x.ini", 1, "a\nb", "c\x1b"), "d\re", "f\n" * 500))
        self.assertTrue(text.isprintable())
        self.assertLess(len(text), 1000)
