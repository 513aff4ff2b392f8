"""Leases that live as long as the server."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pybootd.interfaces import ILeaseStore
from pybootd.leases.memory import MemoryStore
from tests.support.leases import FIRST, bound, fresh, key


class MemoryTests(SynchronousTestCase):
    def test_interface(self) -> None:
        """It is a lease store, and nobody else's."""
        store = MemoryStore()
        verifyObject(ILeaseStore, store)
        self.assertFalse(store.shared)
        self.assertEqual(store.find(key(1)), ())
        self.assertEqual(store.reserve(FIRST, 3).slices, (range(FIRST, FIRST + 3),))

    def test_forgets(self) -> None:
        """Every claim counts, until it is opened anew."""
        store = MemoryStore()
        self.assertEqual(self.successResultOf(store.open()), ())
        self.assertEqual(self.successResultOf(store.commit(fresh(bound(0, 1), bound(1, 2)))), [True, True])
        self.successResultOf(store.close())
        self.assertEqual(self.successResultOf(store.open()), ())
