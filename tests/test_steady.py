"""Time that never jumps."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pybootd.steady import Steady, elapsed, steady

YEARS = 5 * 365 * 86400.0


class SteadyTests(SynchronousTestCase):
    """L{Steady}."""

    def setUp(self) -> None:
        """A host's clock that can be set, and time that passes."""
        self.wall, self.passed = 1_000_000.0, 50.0
        self.clock = Steady(lambda: self.wall, lambda: self.passed)

    def test_passes(self) -> None:
        """It begins with what the host says and goes on as time passes."""
        self.wall, self.passed = self.wall + 7, self.passed + 7
        self.assertEqual((self.clock.seconds(), self.clock.step), (1_000_007.0, 0.0))

    def test_set(self) -> None:
        """Setting the host's clock, forward or back, moves nothing; how far it is away can be asked."""
        for step in (YEARS, -YEARS):
            self.wall = 1_000_000.0 + step
            self.assertEqual((self.clock.seconds(), self.clock.step), (1_000_000.0, step))

    def test_adopted(self) -> None:
        """The host is believed when somebody says so."""
        self.wall -= YEARS
        self.clock.adopt()
        self.assertEqual((self.clock.seconds(), self.clock.step), (1_000_000.0 - YEARS, 0.0))

    def test_elapsed(self) -> None:
        """What passes does so in one direction."""
        first = elapsed()
        self.assertGreaterEqual(elapsed(), first)

    def test_reactor(self) -> None:
        """A reactor's timers use it."""
        reactor = Clock()
        steady(reactor)
        self.assertGreater(reactor.seconds(), 1_600_000_000)
