"""Values that cost little."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from pybootd.value import value


@value
class Point:
    """An example."""

    across: int
    down: int = 0


class ValueTests(SynchronousTestCase):
    """They behave as values do."""

    def test_equal(self) -> None:
        """Two of the same are equal, and one entry of a set."""
        self.assertEqual(Point(1), Point(1, 0))
        self.assertEqual(len({Point(1), Point(1, 0), Point(1, 2)}), 2)

    def test_evolve(self) -> None:
        """Another of its kind is made of it, and it stays as it was."""
        before = Point(1)
        self.assertEqual(evolve(before, down=3), Point(1, 3))
        self.assertEqual(before, Point(1))

    def test_slots(self) -> None:
        """It has its own attributes and no others."""
        with self.assertRaises(AttributeError):
            Point(1).up = 2  # type: ignore[attr-defined]
