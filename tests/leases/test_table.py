"""Who has which address."""

from __future__ import annotations

from math import inf

from twisted.trial.unittest import SynchronousTestCase

from pybootd.leases.table import OFFER_SECONDS, LeaseTable
from tests.support.leases import FIRST, LATER, NOW, bound, declined, key, released

LAST = FIRST + 99


class LeaseTests(SynchronousTestCase):
    """What is on record."""

    def test_found_both_ways(self) -> None:
        """A lease is found by its address, and by its machine and network."""
        table = LeaseTable([bound(0, 1), bound(1, 2)])
        self.assertEqual(table.at(FIRST), bound(0, 1))
        self.assertEqual(table.of(key(2), FIRST, LAST), bound(1, 2))
        self.assertIsNone(table.of(key(3), FIRST, LAST))
        self.assertIsNone(table.at(FIRST + 2))
        self.assertEqual(len(table), 2)
        self.assertEqual(set(table), {bound(0, 1), bound(1, 2)})

    def test_networks(self) -> None:
        """A machine that moves has a lease in each network."""
        table = LeaseTable([bound(0, 1), bound(1000, 1)])
        self.assertEqual(table.of(key(1), FIRST, LAST), bound(0, 1))
        self.assertEqual(table.of(key(1), FIRST + 1000, LAST + 1000), bound(1000, 1))
        self.assertIsNone(table.of(key(1), FIRST + 2000, LAST + 2000))

    def test_latest(self) -> None:
        """Of several leases in one network the latest counts."""
        table = LeaseTable([bound(0, 1), bound(1, 1)])
        self.assertEqual(table.of(key(1), FIRST, LAST), bound(1, 1))
        table.record(bound(0, 1, LATER + 1))
        self.assertEqual(table.of(key(1), FIRST, LAST), bound(0, 1, LATER + 1))

    def test_given_to_another(self) -> None:
        """An address has one machine: whoever had it before has it no longer."""
        table = LeaseTable([bound(0, 1), bound(1, 1), bound(0, 2)])
        self.assertEqual(table.at(FIRST), bound(0, 2))
        self.assertEqual(table.of(key(1), FIRST, LAST), bound(1, 1))
        table.record(bound(1, 2))
        self.assertIsNone(table.of(key(1), FIRST, LAST))

    def test_declined(self) -> None:
        """A declined address is nobody's, and rests."""
        table = LeaseTable([bound(0, 1), declined(0)])
        self.assertIsNone(table.of(key(1), FIRST, LAST))
        self.assertEqual(table.owner(FIRST, NOW), b"")
        self.assertIsNone(table.owner(FIRST, NOW + 3600))

    def test_forgotten(self) -> None:
        """What is forgotten was never there."""
        table = LeaseTable([bound(0, 1), bound(1, 1)])
        table.forget(FIRST + 1)
        table.forget(FIRST + 2)
        self.assertEqual(table.of(key(1), FIRST, LAST), bound(0, 1))
        self.assertIsNone(table.owner(FIRST + 1, NOW))
        table.forget(FIRST)
        self.assertIsNone(table.of(key(1), FIRST, LAST))

    def test_within(self) -> None:
        """The records of a part of the addresses, whichever way is shorter."""
        table = LeaseTable([bound(0, 1), bound(7, 2), bound(9, 3)])
        self.assertEqual(list(table.within(range(FIRST + 7, FIRST + 9))), [bound(7, 2)])
        self.assertEqual(list(table.within(range(FIRST + 1, FIRST + 1000))), [bound(7, 2), bound(9, 3)])


class OfferTests(SynchronousTestCase):
    """What is held for a machine for a while."""

    def test_held(self) -> None:
        """An offered address is held for a minute."""
        table = LeaseTable()
        table.offer(key(1), FIRST, NOW)
        self.assertEqual(table.offered(key(1), NOW + 59), FIRST)
        self.assertEqual(table.owner(FIRST, NOW + 59), key(1))
        self.assertEqual(table.held(FIRST, NOW + 59), NOW + OFFER_SECONDS)
        self.assertTrue(table.taken(FIRST, key(2), NOW + 59))
        self.assertFalse(table.taken(FIRST, key(1), NOW + 59))

    def test_lapsed(self) -> None:
        """After that it is not."""
        table = LeaseTable()
        table.offer(key(1), FIRST, NOW)
        self.assertEqual(table.offered(key(1), NOW + 60), 0)
        self.assertIsNone(table.owner(FIRST, NOW + 60))
        self.assertEqual(table.held(FIRST, NOW + 60), 0)
        self.assertFalse(table.taken(FIRST, key(2), NOW + 60))

    def test_one_each(self) -> None:
        """A machine is held one address, and an address for one machine."""
        table = LeaseTable()
        table.offer(key(1), FIRST, NOW)
        table.offer(key(1), FIRST + 1, NOW)
        self.assertIsNone(table.owner(FIRST, NOW))
        table.offer(key(2), FIRST + 1, NOW)
        self.assertEqual(table.offered(key(1), NOW), 0)
        self.assertEqual(table.owner(FIRST + 1, NOW), key(2))

    def test_withdrawn(self) -> None:
        """A withdrawn offer holds nothing; withdrawing says what it held."""
        table = LeaseTable()
        table.offer(key(1), FIRST, NOW)
        self.assertEqual(table.withdraw(key(1)), FIRST)
        self.assertEqual(table.withdraw(key(1)), 0)
        self.assertIsNone(table.owner(FIRST, NOW))

    def test_bounded(self) -> None:
        """A flood of invented machines takes a bounded amount of memory; the oldest offers give way."""
        table = LeaseTable(offers=10)
        for number in range(1, 101):
            table.offer(key(number), FIRST + number, NOW)
        offered = [number for number in range(1, 101) if table.offered(key(number), NOW)]
        self.assertEqual(offered, list(range(91, 101)))

    def test_lapsed_are_forgotten(self) -> None:
        """Offers that nobody took up go when others come."""
        table = LeaseTable()
        table.offer(key(1), FIRST, NOW)
        table.offer(key(2), FIRST + 1, NOW + 61)
        self.assertEqual(table.withdraw(key(1)), 0)

    def test_lease_beats_offer(self) -> None:
        """An address that is leased is its machine's, whatever was offered."""
        table = LeaseTable()
        table.offer(key(2), FIRST, NOW)
        table.record(bound(0, 1))
        self.assertEqual(table.owner(FIRST, NOW), key(1))
        self.assertEqual(table.offered(key(2), NOW), 0)

    def test_offer_beats_what_has_ended(self) -> None:
        """An address whose lease has ended is its machine's until it is offered to another."""
        table = LeaseTable([bound(0, 1, NOW)])
        self.assertEqual(table.owner(FIRST, NOW), key(1))
        self.assertFalse(table.taken(FIRST, key(2), NOW))
        table.offer(key(2), FIRST, NOW)
        self.assertEqual(table.owner(FIRST, NOW), key(2))
        table.offer(key(1), FIRST, NOW)
        self.assertEqual(table.owner(FIRST, NOW), key(1))

    def test_released(self) -> None:
        """A released address is its machine's until it is offered to another, whenever it would have ended."""
        table = LeaseTable([released(0, 1)])
        self.assertEqual(table.owner(FIRST, NOW), key(1))
        table.offer(key(2), FIRST, NOW)
        self.assertEqual(table.owner(FIRST, NOW), key(2))


class PendingTests(SynchronousTestCase):
    """Between a REQUEST and its ACK."""

    def test_not_durable_yet(self) -> None:
        """What is being written is nobody else's, and no lease yet."""
        table = LeaseTable()
        table.begin(bound(0, 1))
        self.assertTrue(table.pending(key(1)))
        self.assertIsNone(table.of(key(1), FIRST, LAST))
        self.assertEqual(table.owner(FIRST, NOW), key(1))
        self.assertTrue(table.taken(FIRST, key(2), NOW))
        self.assertGreater(table.held(FIRST, NOW), NOW)

    def test_durable(self) -> None:
        """Once written it is a lease, and its offer is done."""
        table = LeaseTable()
        table.offer(key(1), FIRST, NOW)
        table.begin(bound(0, 1))
        table.settle(bound(0, 1), durable=True)
        self.assertFalse(table.pending(key(1)))
        self.assertEqual(table.of(key(1), FIRST, LAST), bound(0, 1))
        self.assertEqual(table.offered(key(1), NOW), 0)

    def test_failed(self) -> None:
        """What could not be written changes nothing."""
        table = LeaseTable([bound(0, 2, NOW)])
        table.begin(bound(0, 1))
        table.settle(bound(0, 1), durable=False)
        self.assertFalse(table.pending(key(1)))
        self.assertEqual(table.owner(FIRST, NOW), key(2))
        self.assertEqual(table.of(key(2), FIRST, LAST), bound(0, 2, NOW))

    def test_beats_offers(self) -> None:
        """While an address is being given to one machine, an offer of it to its former owner changes nothing."""
        table = LeaseTable([bound(0, 2, NOW)])
        table.begin(bound(0, 1))
        self.assertIsNone(table.of(key(2), FIRST, LAST))
        table.offer(key(2), FIRST, NOW)
        self.assertEqual(table.owner(FIRST, NOW), key(1))
        table.settle(bound(0, 1), durable=True)
        self.assertEqual(table.offered(key(2), NOW), 0)

    def test_declining(self) -> None:
        """From its DECLINE on, a machine is not offered that address again."""
        table = LeaseTable([bound(0, 1)])
        table.begin(declined(0))
        self.assertIsNone(table.of(key(1), FIRST, LAST))
        self.assertEqual(table.owner(FIRST, NOW), b"")


class ShiftTests(SynchronousTestCase):
    """L{LeaseTable.shift}: the clock was set."""

    def test_moved(self) -> None:
        """What was reckoned by this process's clock moves with it, in every index; what has no end does not."""
        for step in (1e9, -1e9):
            table = LeaseTable()
            for lease in (bound(0, 1), bound(1000, 1), bound(1, 2, inf), released(2, 3)):
                table.record(lease)
            moved = table.shift(step)
            self.assertEqual({lease.address - FIRST for lease in moved}, {0, 1000, 2})
            self.assertEqual(table.at(FIRST), bound(0, 1, LATER + step))
            self.assertEqual(table.of(key(1), FIRST, LAST), bound(0, 1, LATER + step))
            self.assertEqual(table.of(key(1), FIRST + 1000, LAST + 1000), bound(1000, 1, LATER + step))
            self.assertEqual(table.at(FIRST + 1), bound(1, 2, inf))

    def test_of_the_store(self) -> None:
        """What the store knew before was reckoned by another clock, until it is renewed."""
        table = LeaseTable([bound(0, 1), bound(1, 2)])
        table.record(bound(1, 2))
        self.assertEqual([lease.address for lease in table.shift(500.0)], [FIRST + 1])
        self.assertEqual(table.at(FIRST), bound(0, 1))

    def test_offers(self) -> None:
        """An offer is held as long as it would have been."""
        table = LeaseTable()
        table.offer(key(1), FIRST, NOW)
        table.shift(-1e9)
        self.assertEqual(table.offered(key(1), NOW - 1e9 + OFFER_SECONDS - 1), FIRST)
        self.assertEqual(table.offered(key(1), NOW - 1e9 + OFFER_SECONDS + 1), 0)
