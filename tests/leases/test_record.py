"""Leases as rows, and back."""

from __future__ import annotations

from math import inf, nan

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.leases.lease import Lease, State, slice_size
from pybootd.leases.record import lease_of, readable, row_of
from tests.support.leases import bound

LEASES = st.builds(
    Lease,
    st.integers(1, (1 << 32) - 1),
    st.binary(max_size=20),
    st.sampled_from(State),
    st.floats(min_value=0, allow_nan=False),
    st.one_of(st.just(b""), st.binary(min_size=16, max_size=16)),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=64),
)
VALUES = st.one_of(st.none(), st.integers(), st.floats(), st.binary(max_size=300), st.text(max_size=20))


class RecordTests(SynchronousTestCase):
    @given(LEASES)
    def test_round_trip(self, lease: Lease) -> None:
        """What is written is read."""
        self.assertEqual(lease_of(row_of(lease)), lease)

    def test_for_ever(self) -> None:
        """A lease may have no end."""
        self.assertEqual(lease_of(row_of(bound(0, 1, inf))).expires, inf)

    def test_odd_names(self) -> None:
        """A host name that no encoding holds costs nobody a lease."""
        self.assertEqual(lease_of(row_of(bound(0, 1, hostname="a\ud800b"))).hostname, "a?b")

    def test_damaged(self) -> None:
        """A row with a wrong value anywhere is no lease."""
        row = row_of(bound(0, 1))
        wrong = {
            0: (0, -1, 1 << 32, "10.0.0.1", None, 1.0),
            1: ("text", None, 6, b"x" * 256),
            2: (0, 4, None, "1", b"1"),
            3: (nan, None, "soon", 5),
            4: ("text", None, 16, b"x" * 256),
            5: ("text", None, 3),
        }
        for place, values in wrong.items():
            for value in values:
                with self.assertRaises(ValueError, msg=f"{place} {value!r}"):
                    lease_of((*row[:place], value, *row[place + 1 :]))

    @given(st.tuples(*[VALUES] * 6))
    def test_anything(self, row: tuple[object, ...]) -> None:
        """Whatever a damaged file holds, it is a lease or no lease."""
        self.assertIn(len(list(readable([row], "here"))), (0, 1))

    def test_costs_one(self) -> None:
        """A damaged row costs one lease."""
        rows = [row_of(bound(0, 1)), (None,) * 6, row_of(bound(1, 2))]
        self.assertEqual(list(readable(rows, "here")), [bound(0, 1), bound(1, 2)])


class SliceTests(SynchronousTestCase):
    def test_size(self) -> None:
        """Large pools go by 256 addresses, small ones by few, so that there is something for each server."""
        sizes = [slice_size(count) for count in (1, 8, 10, 64, 1000, 2048, 60_000)]
        self.assertEqual(sizes, [1, 1, 1, 8, 125, 256, 256])
