"""Enumerations whose members are plain attributes."""

from __future__ import annotations

import pickle
from enum import Enum, IntEnum

from twisted.trial.unittest import SynchronousTestCase

from pybootd.plain import plain


@plain
class Colour(Enum):
    """An enumeration."""

    RED = "red"
    BLUE = "blue"


@plain
class Number(IntEnum):
    """One of integers."""

    ONE = 1


class PlainTests(SynchronousTestCase):
    """Nothing else changes."""

    def test_members(self) -> None:
        """Members are found by name and by value, in order, and are what they were."""
        self.assertIs(Colour.RED, Colour("red"))
        self.assertIs(Colour["BLUE"], Colour.BLUE)
        self.assertEqual(list(Colour), [Colour.RED, Colour.BLUE])
        self.assertEqual((Colour.RED.name, Colour.RED.value), ("RED", "red"))
        self.assertIs(pickle.loads(pickle.dumps(Colour.RED)), Colour.RED)

    def test_attributes(self) -> None:
        """They stand in the class itself."""
        self.assertIs(vars(Colour)["RED"], Colour.RED)

    def test_hash(self) -> None:
        """They are keys; one that is an integer too is the same key as before."""
        self.assertEqual({Colour.RED: 1}[Colour("red")], 1)
        self.assertEqual({Number.ONE: 1}[Number(1)], 1)
