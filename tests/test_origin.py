"""How a line of the configuration is named."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.origin import Origin


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
