"""So many of a kind in a while."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pybootd.throttle import Throttle


class ThrottleTests(SynchronousTestCase):
    """L{Throttle}."""

    def test_counts_each_key(self) -> None:
        """Each key so often, then no more until the period is over."""
        clock = Clock()
        throttle = Throttle(clock.seconds, often=2, period=10)
        self.assertEqual([throttle.admits("a") for _ in range(4)], [True, True, False, False])
        self.assertTrue(throttle.admits("b"))
        clock.advance(10)
        self.assertTrue(throttle.admits("a"))

    def test_bounded(self) -> None:
        """Invented keys share one count: memory stays bounded."""
        throttle = Throttle(Clock().seconds, often=2, keys=3)
        self.assertEqual(sum(throttle.admits(number) for number in range(100)), 3 + 2)

    def test_spent(self) -> None:
        """To ask whether any more may pass counts nothing, and holds for the period; invented keys are asked as one."""
        clock = Clock()
        throttle = Throttle(clock.seconds, often=2, period=10, keys=1)
        throttle.admits("a")
        self.assertEqual([throttle.spent("a") for _ in range(3)], [False] * 3)
        throttle.admits("a")
        self.assertTrue(throttle.spent("a"))
        self.assertFalse(throttle.spent("b"))
        throttle.admits("b")
        throttle.admits("c")
        self.assertTrue(throttle.spent("d"))
        clock.advance(10)
        self.assertFalse(throttle.spent("a"))
