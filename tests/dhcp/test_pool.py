"""Which address a new machine gets."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.pool import Pool
from pybootd.leases.lease import Lease
from pybootd.leases.table import LeaseTable
from tests.support.leases import FIRST, LATER, NOW, bound, declined, key, released


class PoolTestCase(SynchronousTestCase):
    """A pool of four addresses, and what happens to them."""

    def pool(self, *leases: Lease, count: int = 4, **options: object) -> Pool:
        """A pool over these leases."""
        self.table = LeaseTable(leases)
        self.subject = Pool(FIRST, count, self.table, **options)
        return self.subject

    def take(self, now: float = NOW) -> int:
        """The place of the address that a new machine gets; -1: none."""
        address = self.subject.take(now)
        return address - FIRST if address else -1

    def offer(self, machine: int, now: float = NOW) -> int:
        """The place of the address that is offered to a new machine; -1: none."""
        place = self.take(now)
        if place >= 0:
            self.table.offer(key(machine), FIRST + place, now)
        return place

    def write(self, lease: Lease) -> None:
        """A lease is written down."""
        self.table.begin(lease)
        self.table.settle(lease, durable=True)
        self.subject.note(lease)


class UnusedTests(PoolTestCase):
    """Addresses that nobody ever had."""

    def test_order(self) -> None:
        """They are given in order, until none is left."""
        self.pool()
        self.assertEqual([self.offer(n) for n in range(1, 6)], [0, 1, 2, 3, -1])

    def test_reserved(self) -> None:
        """Reserved addresses are not given."""
        self.pool(reserved=[FIRST, FIRST + 2])
        self.assertEqual([self.offer(n) for n in range(1, 4)], [1, 3, -1])

    def test_leased(self) -> None:
        """Nor are those that have a lease, ended or not, or rest."""
        self.pool(bound(0, 1), bound(1, 2, NOW - 1), declined(2))
        self.assertEqual([self.offer(n) for n in range(3, 5)], [3, -1])

    def test_kept(self) -> None:
        """By default a machine keeps its address for ever, also when it gave it back."""
        self.pool(bound(0, 1, NOW - 1), released(1, 2), bound(2, 3), count=3)
        self.assertEqual(self.take(LATER * 10), -1)

    def test_not_taken_up(self) -> None:
        """An address that was offered in vain is free again when the offer lapses."""
        self.pool(count=1)
        self.assertEqual(self.offer(1), 0)
        self.assertEqual(self.offer(2, NOW + 59), -1)
        self.assertEqual(self.offer(2, NOW + 62), 0)

    def test_not_even_offered(self) -> None:
        """So is one that was taken and then not offered."""
        self.pool(count=1)
        self.assertEqual(self.take(), 0)
        self.assertEqual(self.take(NOW + 59), -1)
        self.assertEqual(self.take(NOW + 62), 0)

    def test_held_for_longer(self) -> None:
        """Who keeps an address aside may say for how long."""
        pool = self.pool(count=1)
        self.assertEqual(pool.take(NOW, 300), FIRST)
        self.assertEqual(self.take(NOW + 299), -1)
        self.assertEqual(self.take(NOW + 302), 0)

    def test_offered_again(self) -> None:
        """An offer that was renewed meanwhile holds its address."""
        self.pool(count=1)
        self.assertEqual(self.offer(1), 0)
        self.table.offer(key(1), FIRST, NOW + 50)
        self.assertEqual(self.take(NOW + 62), -1)
        self.assertEqual(self.take(NOW + 112), 0)

    def test_leased_meanwhile(self) -> None:
        """An address that was taken up is not free when its offer would have lapsed."""
        self.pool(count=1)
        self.assertEqual(self.offer(1), 0)
        self.write(bound(0, 1))
        self.assertEqual(self.take(NOW + 62), -1)

    def test_given_back(self) -> None:
        """An address that is given back is the next one, and given once."""
        pool = self.pool()
        self.assertEqual([self.offer(1), self.offer(2)], [0, 1])
        self.table.withdraw(key(1))
        pool.give_back(FIRST)
        pool.give_back(FIRST)
        self.assertEqual([self.offer(3), self.offer(4)], [0, 2])

    def test_given_back_but_leased(self) -> None:
        """What is given back and has a lease is not free."""
        pool = self.pool(bound(0, 1), count=1)
        pool.give_back(FIRST)
        self.assertEqual(self.take(), -1)

    def test_given_back_and_claimed(self) -> None:
        """What is given back and then asked for by name is that machine's."""
        pool = self.pool(count=1)
        self.assertEqual(self.take(), 0)
        pool.give_back(FIRST)
        self.table.begin(bound(0, 1))
        self.assertEqual(self.take(), -1)
        self.table.settle(bound(0, 1), durable=False)
        self.assertEqual(self.take(NOW + 62), 0)

    def test_evicted_offers(self) -> None:
        """Offers that give way to a flood cost no address."""
        self.table = LeaseTable(offers=2)
        self.subject = Pool(FIRST, 4, self.table)
        self.assertEqual([self.offer(n) for n in range(1, 6)], [0, 1, 2, 3, -1])
        self.assertEqual([self.offer(n, NOW + 62) for n in range(6, 11)], [0, 1, 2, 3, -1])

    def test_foreign_addresses(self) -> None:
        """Addresses of other networks do not concern it."""
        pool = self.pool(bound(1000, 1, NOW - 1), reclaim=True)
        pool.note(bound(1000, 1, NOW - 1))
        pool.give_back(FIRST + 1001)
        self.assertFalse(pool.holds(FIRST + 4) or pool.holds(FIRST - 1))
        self.assertEqual([self.offer(n) for n in range(1, 6)], [0, 1, 2, 3, -1])


class RestTests(PoolTestCase):
    """Declined addresses."""

    def test_rested(self) -> None:
        """When their rest is over they are free again, and not before."""
        self.pool(declined(0), count=1)
        self.assertEqual(self.take(NOW + 3599), -1)
        self.assertEqual(self.take(NOW + 3601), 0)

    def test_declined_again(self) -> None:
        """One that is declined again rests again."""
        self.pool(declined(0), count=1)
        self.write(declined(0, NOW + 7200))
        self.assertEqual(self.take(NOW + 3601), -1)
        self.assertEqual(self.take(NOW + 7201), 0)

    def test_leased_after(self) -> None:
        """One that was leased after its rest is its machine's."""
        self.pool(declined(0), count=1)
        self.assertEqual(self.offer(1, NOW + 3601), 0)
        self.write(bound(0, 1))
        self.assertEqual(self.take(NOW + 10_000), -1)


class ReclaimTests(PoolTestCase):
    """C{reclaim = expired}."""

    def test_unused_first(self) -> None:
        """As long as there are unused addresses they are given, and everybody keeps theirs."""
        self.pool(bound(0, 1, NOW - 1), reclaim=True)
        self.assertEqual([self.offer(n) for n in range(2, 6)], [1, 2, 3, 0])

    def test_longest_ago(self) -> None:
        """Then comes the address whose lease ended longest ago."""
        self.pool(bound(0, 1, NOW - 5), bound(1, 2, NOW - 9), bound(2, 3), released(3, 4, NOW - 7), reclaim=True)
        self.assertEqual([self.offer(n) for n in range(5, 9)], [1, 3, 0, -1])

    def test_renewed(self) -> None:
        """A renewal counts, also for the order."""
        self.pool(*(bound(n, n + 1, NOW + n) for n in range(3)), count=3, reclaim=True)
        self.write(bound(0, 1, NOW + 50))
        self.write(bound(1, 2, LATER))
        self.assertEqual([self.offer(n, NOW + 100) for n in range(4, 7)], [2, 0, -1])

    def test_in_use(self) -> None:
        """A lease that has not ended is never given away."""
        self.pool(bound(0, 1), bound(1, 2, inf), count=2, reclaim=True)
        self.assertEqual(self.take(), -1)
        self.assertEqual(self.take(LATER + 1), 0)

    def test_for_ever(self) -> None:
        """A lease without end has none, also where the address had another machine before."""
        self.pool(bound(0, 1), count=1, reclaim=True)
        self.write(bound(0, 2, inf))
        self.assertEqual(self.take(LATER * 10), -1)

    def test_given_back_again(self) -> None:
        """What was given back, leased again and given back again is free at once, not at the end of the lease."""
        self.pool(bound(0, 1), count=1, reclaim=True)
        for lease in (released(0, 1, NOW), bound(0, 1, LATER)):
            self.write(lease)
        self.assertEqual(self.take(NOW + 1), -1)
        self.write(released(0, 1, NOW + 2))
        self.assertEqual(self.take(NOW + 3), 0)

    def test_owner_comes_back(self) -> None:
        """An address that its machine is just being offered again is not given to another."""
        self.pool(bound(0, 1, NOW - 1), count=1, reclaim=True)
        self.table.offer(key(1), FIRST, NOW)
        self.assertEqual(self.take(), -1)
        self.write(bound(0, 1, LATER))
        self.assertEqual(self.take(NOW + 62), -1)
        self.assertEqual(self.take(LATER + 1), 0)

    def test_owner_does_not(self) -> None:
        """If that comes to nothing it is given away after all."""
        self.pool(bound(0, 1, NOW - 1), count=1, reclaim=True)
        self.table.offer(key(1), FIRST, NOW)
        self.assertEqual(self.take(), -1)
        self.assertEqual(self.take(NOW + 62), 0)

    def test_in_vain(self) -> None:
        """A new machine that does not take it up costs nobody the address."""
        self.pool(bound(0, 1, NOW - 1), count=1, reclaim=True)
        self.assertEqual(self.offer(2), 0)
        self.assertEqual(self.offer(3, NOW + 62), 0)
        self.table.withdraw(key(3))
        self.subject.give_back(FIRST)
        self.assertEqual(self.offer(4, NOW + 63), 0)

    def test_released_at_once(self) -> None:
        """A released address need not wait for the end that its lease would have had."""
        self.pool(bound(0, 1), count=1, reclaim=True)
        self.write(released(0, 1))
        self.assertEqual(self.take(NOW + 1), 0)

    def test_many_renewals(self) -> None:
        """Renewals do not pile up: the cost of giving an address away stays what it was."""
        pool = self.pool(*(bound(n, n + 1, NOW + n) for n in range(1000)), count=1000, reclaim=True)
        for again in range(1, 4):
            for n in range(1000):
                self.write(bound(n, n + 1, NOW + again * 1000 + n))
        self.assertEqual(len(pool._leased._heap), 1000)
        self.assertEqual(self.take(NOW + 3001), 0)


class SliceTests(PoolTestCase):
    """A pool of which several servers have a part each."""

    def test_nothing_yet(self) -> None:
        """Without a slice there is nothing to give."""
        pool = self.pool(slices=())
        self.assertEqual((self.take(), pool.unseen, pool.holds(FIRST)), (-1, 0, False))

    def test_own_slices(self) -> None:
        """Only addresses of its own slices are given, and further slices go on from there."""
        pool = self.pool(slices=[range(FIRST + 1, FIRST + 3)])
        self.assertEqual(pool.unseen, 2)
        self.assertEqual([self.offer(n) for n in range(1, 4)], [1, 2, -1])
        pool.allot([range(FIRST + 1, FIRST + 3), range(FIRST + 3, FIRST + 4)])
        self.assertEqual(pool.unseen, 1)
        self.assertEqual([self.offer(n) for n in range(4, 6)], [3, -1])

    def test_lost_slice(self) -> None:
        """A slice that another server has by now is left alone."""
        pool = self.pool(slices=[range(FIRST, FIRST + 2), range(FIRST + 2, FIRST + 4)])
        self.assertEqual(self.offer(1), 0)
        pool.allot([range(FIRST + 2, FIRST + 4)])
        self.table.withdraw(key(1))
        pool.give_back(FIRST)
        self.assertEqual([self.offer(n) for n in range(2, 5)], [2, 3, -1])

    def test_leases_in_new_slices(self) -> None:
        """The leases in a new slice are respected, and reclaimed when they end."""
        pool = self.pool(bound(0, 1), bound(1, 2, NOW - 1), slices=(), reclaim=True)
        self.assertEqual(self.take(), -1)
        pool.allot([range(FIRST, FIRST + 3)])
        self.assertEqual([self.offer(n) for n in range(3, 6)], [2, 1, -1])


class FreeTests(PoolTestCase):
    """Whether one address could be given."""

    def test_free(self) -> None:
        """Unused addresses are, held and leased ones are not."""
        pool = self.pool(bound(0, 1), bound(1, 2, NOW - 1), reserved=[FIRST + 2])
        self.table.offer(key(3), FIRST + 3, NOW)
        self.assertEqual([pool.free(FIRST + n, NOW) for n in range(-1, 5)], [False] * 6)
        self.assertTrue(pool.free(FIRST + 3, NOW + 61))

    def test_reclaimed(self) -> None:
        """With reclaim, so are those whose lease has ended."""
        pool = self.pool(bound(0, 1), bound(1, 2, NOW - 1), released(2, 3), reclaim=True)
        self.assertEqual([pool.free(FIRST + n, NOW) for n in range(4)], [False, True, True, True])


class ExhaustionTests(PoolTestCase):
    """Every address can be had, in whatever state the pool is."""

    @given(
        st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9), st.floats(-1e5, 1e5)), max_size=30),
        st.sets(st.integers(0, 9)),
        st.booleans(),
    )
    def test_all_of_them(self, history: Sequence[tuple[int, int, float]], reserved: set[int], reclaim: bool) -> None:
        """Once all offers have lapsed, what is free is given, each address once, and nothing else."""
        leases = [bound(place, machine, NOW + after) for place, machine, after in history]
        pool = self.pool(*leases, count=10, reclaim=reclaim, reserved={FIRST + place for place in reserved})
        free = {place for place in range(10) if pool.free(FIRST + place, NOW)}
        given_away = []
        while (place := self.offer(len(given_away) + 100)) >= 0:
            given_away.append(place)
        self.assertEqual(sorted(given_away), sorted(free))
