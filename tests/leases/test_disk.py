"""Which disks are waited for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.leases.disk import FAR, PAUSE, SHARE, SLOW, Disk


class DiskTests(SynchronousTestCase):
    """Two slow syncs in a row, and it is left to a thread for a while."""

    def setUp(self) -> None:
        self.disk = Disk()

    def sync(self, seconds: float, now: float = 0.0) -> bool:
        """A sync, where it is to be; whether that was in a thread."""
        in_thread = self.disk.slow(now)
        self.disk.took(seconds, now, in_thread)
        return in_thread

    def test_quick(self) -> None:
        """A quick one is waited for, though SQLite has more to write now and then."""
        told = [self.sync(SLOW * (2 if number % 10 == 0 else 0.1)) for number in range(100)]
        self.assertEqual(told, [False] * 100)

    def test_slow(self) -> None:
        """A slow one is not, but for a try now and then."""
        told = [self.sync(SLOW * 2, number * 0.01) for number in range(int(100 * PAUSE) + 10)]
        self.assertEqual((told[:2], told[2]), ([False, False], True))
        self.assertEqual(told.count(False), 3)

    def test_quick_again(self) -> None:
        """It is found out that a disk is quick again, though in a thread all took longer."""
        self.sync(SLOW * 2)
        self.sync(SLOW * 2)
        self.assertTrue(self.sync(SLOW * 3, PAUSE - 1))
        self.assertFalse(self.sync(SLOW / 2, PAUSE + 1))
        self.assertFalse(self.sync(SLOW / 2, PAUSE + 1))

    def test_hangs(self) -> None:
        """One that takes very long is known for slow at once, and tried so much the more rarely."""
        self.sync(SLOW * FAR * 2)
        self.assertTrue(self.sync(2.0, 1))
        self.assertTrue(self.disk.slow(SHARE * 2.0))
        self.assertFalse(self.disk.slow(SHARE * 2.0 + 1))
