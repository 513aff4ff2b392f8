"""Who made a card."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.status import vendors
from pybootd.status.vendors import vendor_of


class VendorTests(SynchronousTestCase):
    """By the first bytes of the address."""

    def setUp(self) -> None:
        vendor_of.cache_clear()
        self.addCleanup(vendor_of.cache_clear)

    def test_virtual(self) -> None:
        """Virtual machines are called by what runs them."""
        self.assertEqual(vendor_of("52:54:00:12:34:56"), "QEMU")

    def test_known(self) -> None:
        """Raspberry Pis are known in any case."""
        self.assertEqual(vendor_of("b8:27:eb:00:00:01"), "Raspberry Pi")

    def test_registered(self) -> None:
        """IEEE's registry knows the others."""
        self.assertIn("CISCO", vendor_of("00:00:0c:00:00:01").upper())

    def test_nobody(self) -> None:
        """Some are nobody's, some no addresses at all."""
        self.assertEqual(vendor_of("02:00:00:00:00:01"), "local")
        self.assertEqual(vendor_of("10.0.0.1"), "")
        self.assertEqual(vendor_of("f8:ff:ff:00:00:01"), "")

    def test_without_registry(self) -> None:
        """Without the package that has the registry, the few that are known."""
        self.patch(vendors, "_netaddr", lambda: None)
        self.assertEqual(vendor_of("00:00:0c:00:00:01"), "")
        self.assertEqual(vendor_of("08:00:27:00:00:01"), "VirtualBox")
