"""Many claims, one sync."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pybootd.errors import StoreAway, StoreError
from pybootd.leases import commit
from pybootd.leases.commit import GROUP, PAUSE, TURNS, GroupCommit, Outcome
from pybootd.leases.lease import Claim
from pybootd.leases.memory import MemoryStore
from tests.support.leases import bound, fresh


class Slow(MemoryStore):
    """
    A store that writes when the test says so.

    @ivar groups: the claims of each commit.
    """

    def __init__(self) -> None:
        self.groups: list[Sequence[Claim]] = []
        self._writing: list[Deferred[Sequence[bool]]] = []

    def commit(self, claims: Sequence[Claim]) -> Deferred[Sequence[bool]]:
        self.groups.append(claims)
        self._writing.append(Deferred())
        return self._writing[-1]

    def written(self, *flags: bool) -> None:
        """The group under way is durable."""
        self._writing.pop().callback(flags or [True] * len(self.groups[-1]))

    def broken(self, error: Exception) -> None:
        """The group under way is lost."""
        self._writing.pop().errback(error)


class CommitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.store = Slow()
        self.commit = GroupCommit(self.store, self.clock.callLater)
        self.outcomes: list[tuple[int, Outcome]] = []
        self.events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def submit(self, *machines: int) -> None:
        """Claims of these machines, whose outcome is noted."""
        for machine in machines:
            (claim,) = fresh(bound(machine, machine))
            self.commit.submit(claim, lambda outcome, machine=machine: self.outcomes.append((machine, outcome)))

    def turn(self) -> None:
        """The reactor wakes up."""
        self.clock.advance(0)

    def sizes(self) -> list[int]:
        """How many claims each group has."""
        return [len(group) for group in self.store.groups]

    def logged(self) -> list[str]:
        """The levels of what was logged."""
        return [event["log_level"].name for event in self.events]

    def test_together(self) -> None:
        """What one wake-up of the reactor brings is written together, in its order."""
        self.submit(1, 2, 3)
        self.assertEqual(self.sizes(), [])
        self.turn()
        self.assertEqual([claim.lease for claim in self.store.groups[0]], [bound(n, n) for n in (1, 2, 3)])

    def test_at_its_heels(self) -> None:
        """A group waits for the next turn of the reactor as long as each brings more; a claim alone does not wait."""
        turns = self.turns()
        self.submit(1)
        turns.pop()()
        self.assertEqual(self.sizes(), [1])
        self.store.written()
        self.submit(2, 3)
        turns.pop()()
        self.submit(4)
        turns.pop()()
        self.assertEqual(self.sizes(), [1])
        turns.pop()()
        self.assertEqual((self.sizes(), turns), ([1, 3], []))

    def test_not_for_ever(self) -> None:
        """More and more claims do not put off the first ones for ever."""
        turns = self.turns()
        self.submit(1)
        for machine in range(2, TURNS + 2):
            self.submit(machine)
            turns.pop()()
        self.assertEqual(self.sizes(), [])
        self.submit(TURNS + 2)
        turns.pop()()
        self.assertEqual(self.sizes(), [TURNS + 2])

    def turns(self) -> list[Callable[[], None]]:
        """What the reactor is to do in its next turn."""
        waiting: list[Callable[[], None]] = []
        self.commit = GroupCommit(self.store, lambda _, call, *with_: waiting.append(partial(call, *with_)))
        return waiting

    def test_not_before(self) -> None:
        """Nobody is told before it is durable."""
        self.submit(1)
        self.turn()
        self.assertEqual(self.outcomes, [])
        self.store.written()
        self.assertEqual(self.outcomes, [(1, Outcome.DURABLE)])

    def test_meanwhile(self) -> None:
        """What arrives while the store writes waits, and is written together next."""
        self.submit(1)
        self.turn()
        self.submit(2, 3)
        self.turn()
        self.submit(4)
        self.assertEqual(self.sizes(), [1])
        self.store.written()
        self.turn()
        self.assertEqual(self.sizes(), [1, 3])

    def test_void(self) -> None:
        """A claim that a shared store refuses is void, and the others count."""
        self.submit(1, 2)
        self.turn()
        self.store.written(False, True)
        self.assertEqual(self.outcomes, [(1, Outcome.VOID), (2, Outcome.DURABLE)])

    def test_failure(self) -> None:
        """A failure concerns its group alone, is said once, and so is its end."""
        for machine in (1, 2):
            self.submit(machine)
            self.turn()
            self.store.broken(StoreError("disk full"))
        self.submit(3)
        self.turn()
        self.store.written()
        outcomes = [(1, Outcome.FAILED), (2, Outcome.FAILED), (3, Outcome.DURABLE)]
        self.assertEqual(self.outcomes, outcomes)
        self.assertEqual(self.logged(), ["error", "info"])
        self.assertEqual(self.commit.failed, "")

    def test_failing(self) -> None:
        """After a failure nothing new should be promised until the store, tried now and then, could write again."""
        self.submit(1)
        self.turn()
        self.store.broken(StoreError("disk full"))
        self.assertTrue(self.commit.failing)
        self.assertEqual(self.commit.failed, "disk full")
        self.clock.advance(PAUSE)
        self.assertEqual(self.sizes(), [1, 0])
        self.store.broken(StoreError("disk full"))
        self.assertTrue(self.commit.failing)
        self.clock.advance(PAUSE)
        self.store.written()
        self.assertFalse(self.commit.failing)
        self.clock.advance(2 * PAUSE)
        self.assertEqual(self.sizes(), [1, 0, 0])
        self.assertEqual(self.logged(), ["error"])

    def test_trial_among_claims(self) -> None:
        """A trial and a group are never under way together, and a group that succeeds is trial enough."""
        self.submit(1)
        self.turn()
        self.store.broken(StoreError("disk full"))
        self.submit(2)
        self.turn()
        self.clock.advance(PAUSE)
        self.assertEqual(self.sizes(), [1, 1])
        self.store.broken(StoreError("disk full"))
        self.clock.advance(PAUSE)
        self.submit(3)
        self.turn()
        self.assertEqual(self.sizes(), [1, 1, 0])
        self.store.broken(StoreError("disk full"))
        self.turn()
        self.store.written()
        self.assertFalse(self.commit.failing)
        self.clock.advance(2 * PAUSE)
        self.assertEqual(self.sizes(), [1, 1, 0, 1])
        self.assertEqual(self.logged(), ["error", "info"])

    def test_no_trial_at_the_end(self) -> None:
        """A store that is about to be closed is not tried any more."""
        self.submit(1)
        self.turn()
        self.store.broken(StoreError("disk full"))
        self.successResultOf(self.commit.drained())
        self.clock.advance(2 * PAUSE)
        self.assertEqual(self.sizes(), [1])

    def test_speaks_for_itself(self) -> None:
        """What a store at the other end of a network says of its own accord is not said again."""
        self.submit(1)
        self.turn()
        self.store.broken(StoreAway("no connection"))
        self.assertTrue(self.commit.failing)
        self.submit(2)
        self.turn()
        self.store.written()
        self.assertEqual(self.outcomes, [(1, Outcome.FAILED), (2, Outcome.DURABLE)])
        self.assertEqual(self.logged(), [])

    def test_broken_store(self) -> None:
        """A store with a mistake in it is a failure like any other, with its traceback."""

        def commit(claims: Sequence[Claim]) -> Any:
            raise ZeroDivisionError

        self.patch(self.store, "commit", commit)
        self.submit(1)
        self.turn()
        self.assertEqual(self.outcomes, [(1, Outcome.FAILED)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_wrong_number(self) -> None:
        """A store that does not answer for each claim has not kept its promise."""
        self.submit(1, 2)
        self.turn()
        self.store.written(True)
        self.assertEqual(self.outcomes, [(1, Outcome.FAILED), (2, Outcome.FAILED)])

    def test_broken_listener(self) -> None:
        """Who fails when told does not keep the others from being told, nor the next group from being written."""
        (claim,) = fresh(bound(1, 1))
        self.commit.submit(claim, lambda outcome: 1 // 0)
        self.submit(2)
        self.turn()
        self.store.written()
        self.submit(3)
        self.turn()
        self.assertEqual(self.outcomes, [(2, Outcome.DURABLE)])
        self.assertEqual(self.sizes(), [2, 1])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_large(self) -> None:
        """A group has its limit."""
        self.submit(*range(1, GROUP + 3))
        self.turn()
        self.store.written()
        self.turn()
        self.assertEqual(self.sizes(), [GROUP, 2])

    def test_bounded(self) -> None:
        """When too many wait, the newest fail."""
        self.commit = GroupCommit(self.store, self.clock.callLater, waiting=2)
        self.submit(1, 2, 3)
        self.assertEqual(self.outcomes, [])
        self.turn()
        self.assertEqual(self.outcomes, [(3, Outcome.FAILED)])
        self.assertEqual(self.sizes(), [2])

    def test_drained(self) -> None:
        """At the end, what waits is written first."""
        self.submit(1)
        self.turn()
        self.submit(2)
        drained = self.commit.drained()
        self.store.written()
        self.assertNoResult(drained)
        self.turn()
        self.store.written()
        self.successResultOf(drained)
        self.assertEqual(len(self.outcomes), 2)

    def test_nothing_to_drain(self) -> None:
        """Where nothing waits that is at once; claims that still come are written all the same."""
        self.successResultOf(self.commit.drained())
        self.submit(1)
        drained = self.commit.drained()
        self.turn()
        self.store.written()
        self.successResultOf(drained)

    def test_synchronous_stores(self) -> None:
        """A store that is done at once never grows the stack, however much waits."""
        self.patch(self.store, "commit", lambda claims: succeed([True] * len(claims)))
        self.patch(commit, "GROUP", 1)
        self.submit(*range(1, 2000))
        self.clock.pump([0] * 2000)
        self.assertEqual(len(self.outcomes), 1999)
        self.patch(self.store, "commit", lambda claims: fail(StoreError("gone")))
        self.submit(1)
        self.turn()
        self.assertEqual(self.outcomes[-1], (1, Outcome.FAILED))
