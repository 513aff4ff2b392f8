"""The plain mutator."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.mutation import LONGEST, mutated


class MutationTests(SynchronousTestCase):
    """Changes that can be repeated."""

    def test_repeatable(self) -> None:
        """The same seed makes the same changes."""
        first, second = ([mutated(b"abcdef", [b"xyz"], Random(seed)) for seed in range(50)] for _ in range(2))
        self.assertEqual(first, second)
        self.assertGreater(len(set(first)), 40)

    def test_bounded(self) -> None:
        """Nothing grows beyond what is looked at, and nothing at all is an input too."""
        random = Random(1)
        data = b""
        for _ in range(500):
            data = mutated(data, [b"", b"x" * 5000], random)
            self.assertLessEqual(len(data), LONGEST)
