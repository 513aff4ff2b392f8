"""Leases that a person takes back."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from pybootd.dhcp.recall import OFTEN, Recall
from pybootd.errors import StoreError
from pybootd.events import Bus, Event, Released
from pybootd.interfaces import ILeaseRecords
from pybootd.leases.commit import GroupCommit
from pybootd.leases.lease import Claim, Lease, State
from pybootd.leases.memory import MemoryStore
from pybootd.leases.table import LeaseTable
from pybootd.machine import Machines
from tests.support.leases import FIRST, NOW, bound, declined, key, released


@implementer(ILeaseRecords)
class Records(MemoryStore):
    """A store with words left in it."""

    def __init__(self) -> None:
        self.words: list[Lease] = []
        self.claims: list[Lease] = []
        self.full = False

    def read(self) -> Sequence[Lease]:
        return ()

    def ask_back(self, leases: Sequence[Lease]) -> None:
        self.words += leases

    def asked_back(self) -> Sequence[Lease]:
        words, self.words = self.words, []
        return words

    def commit(self, claims: Sequence[Claim]) -> Deferred[Sequence[bool]]:
        if self.full:
            return fail(StoreError("full"))
        self.claims += [claim.lease for claim in claims]
        return succeed([True] * len(claims))


class RecallTests(SynchronousTestCase):
    """One server, and a command beside it."""

    def setUp(self) -> None:
        self.clock, self.records = Clock(), Records()
        self.table = LeaseTable([bound(0, 1, hostname="node"), bound(1, 2), declined(2), released(3, 4)])
        self.noted: list[Lease] = []
        self.events: list[Event] = []
        bus = Bus()
        bus.subscribe(self.events.append)
        commit = GroupCommit(self.records, self.clock.callLater)
        self.recall = Recall(
            self.records, self.table, commit, self.noted.append, Machines(), bus, self.clock, lambda: NOW
        )
        self.recall.start()
        self.addCleanup(self.recall.stop)

    def ask(self, *leases: Lease) -> None:
        """A command asks, and the server looks."""
        self.records.ask_back(leases)
        self.clock.advance(OFTEN)
        self.clock.advance(0)

    def test_ended(self) -> None:
        """The lease ends as by a RELEASE: on record, in the pool, and told; nobody else's does."""
        self.ask(bound(0, 1))
        ended = evolve(bound(0, 1, hostname="node"), state=State.RELEASED, expires=NOW)
        self.assertEqual((self.records.claims, self.noted), ([ended], [ended]))
        self.assertEqual(self.table.at(FIRST), ended)
        self.assertEqual(self.table.at(FIRST + 1), bound(1, 2))
        (event,) = self.events
        assert isinstance(event, Released)
        self.assertEqual((event.mac, str(event.address)), ("52:54:00:00:00:01", "10.0.0.100"))

    def test_changed_meanwhile(self) -> None:
        """What is not as the person saw it stays: renewed, another machine's, ended, unknown, being written down."""
        self.table.begin(bound(1, 2, 7.0))
        self.ask(bound(0, 1, 5.0), bound(0, 9), bound(1, 2), bound(3, 4), bound(8, 8), declined(2))
        self.assertEqual((self.records.claims, self.events), ([], []))

    def test_not_written(self) -> None:
        """Where the store cannot be written the lease stays."""
        self.records.full = True
        self.ask(bound(0, 1))
        self.assertEqual(self.table.at(FIRST), bound(0, 1, hostname="node"))
        self.assertFalse(self.table.pending(key(1)))
        self.assertEqual((self.noted, self.events), ([], []))

    def test_stopped(self) -> None:
        """Nobody looks once the server ends; stopping twice is no mistake."""
        self.recall.stop()
        self.ask(bound(0, 1))
        self.assertEqual(self.records.claims, [])
        self.recall.stop()
