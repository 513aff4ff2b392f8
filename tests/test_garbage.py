"""How often garbage is searched for."""

from __future__ import annotations

import gc
from weakref import ref

from twisted.trial.unittest import SynchronousTestCase

from pybootd.garbage import YOUNG, searched_rarely


class Knot:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


class Counted(Knot):
    """
    A knot that is counted.

    @cvar there: how many there are.
    """

    there = 0

    def __init__(self) -> None:
        super().__init__()
        Counted.there += 1

    def __del__(self) -> None:
        Counted.there -= 1


class GarbageTests(SynchronousTestCase):
    """Rarely, but it is."""

    def setUp(self) -> None:
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)

    def test_found(self) -> None:
        """A cycle that nobody needs goes, once enough was made after it."""
        with searched_rarely():
            pass
        knot = ref(Knot())
        kept = [[] for _ in range(3 * YOUNG)]  # type: ignore[var-annotated]
        self.assertIsNone(knot())
        self.assertEqual(len(kept), 3 * YOUNG)

    def test_few_wait(self) -> None:
        """However many cycles come and go, no more wait to be found than a fraction of a MiB holds."""
        with searched_rarely():
            pass
        before, most = Counted.there, 0
        for _ in range(30_000):
            Counted()
            most = max(most, Counted.there - before)
        self.assertLess(most, 5000)

    def test_old(self) -> None:
        """What was there before the start, and what it made, is not looked through any more."""
        before = Knot()
        with searched_rarely():
            made = Knot()
        after = Knot()
        searched = {id(one) for one in gc.get_objects()}
        self.assertEqual([id(one) in searched for one in (before, made, after)], [False, False, True])
