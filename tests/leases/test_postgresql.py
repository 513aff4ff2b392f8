"""Leases in PostgreSQL, without one: what is said to it; what is made of its answers, errors and silence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pybootd.errors import StoreAway, StoreError
from pybootd.interfaces import ILeaseStore
from pybootd.leases import postgresql
from pybootd.leases.lease import Claim, Lease, State
from pybootd.leases.postgresql import ANSWER, HELD, PAUSES, PostgresqlStore, gaps, place_of, runs
from tests.support.leases import FIRST, NOW, Threads, at_once, bound, declined, fresh, key

URL = "postgresql://pybootd:secret@db.example.org/leases"
PLACE = "postgresql://db.example.org/leases"
Row = tuple[Any, ...]


class Answer:
    """A cursor with these rows; None: the statement has none."""

    def __init__(self, rows: Sequence[Row] | None) -> None:
        self._rows = rows
        self.description = None if rows is None else ()

    def fetchall(self) -> list[Row]:
        return list(self._rows or ())


class Database:
    """
    In place of psycopg and a server.

    @ivar said: the statements, with their values.
    @ivar rows: what is answered to a statement that has this word.
    @ivar broken: what is wrong with it; None: nothing.
    @ivar connected: how many connections were made; C{open}: how many of them are open.
    @ivar cut: how often a connection was cut.
    """

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []
        self.rows: dict[str, Sequence[Row]] = {"to_regclass": [("pybootd_leases",)], "SELECT address": []}
        self.broken: str | None = None
        self.connected = self.open = self.cut = 0

    def connect(self, url: str, *, autocommit: bool, connect_timeout: int) -> Database:
        """C{psycopg.connect}; one object stands for the server and for each connection to it."""
        self._works()
        assert (url, autocommit) == (URL, True)
        self.connected += 1
        self.open += 1
        return self

    def execute(self, statement: str | bytes, values: Any = None) -> Answer:
        self._works()
        text = statement.decode() if isinstance(statement, bytes) else statement
        self.said.append((" ".join(text.split()), values))
        if "RETURNING address" in text:
            return Answer([(address,) for address in values[0] if address not in self.taken])
        return Answer(next((rows for word, rows in self.rows.items() if word in text), None))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._works()
        yield
        self._works()

    def close(self) -> None:
        self.open -= 1

    def fileno(self) -> int:
        self.cut += 1
        raise psycopg.OperationalError("no descriptor in a test")

    def _works(self) -> None:
        if self.broken is not None:
            raise psycopg.OperationalError(self.broken)

    taken: frozenset[int] = frozenset()
    """Addresses that are another machine's."""

    def spoken(self, word: str) -> list[Any]:
        """The values of the statements with this word."""
        return [values for statement, values in self.said if word in statement]


class PostgresqlTestCase(SynchronousTestCase):
    """A store, and what stands for its database."""

    def setUp(self) -> None:
        self.database = Database()
        self.patch(postgresql.psycopg, "connect", self.database.connect)
        self.clock = Clock()
        self.events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        self.store = self.build(at_once)

    def build(self, in_thread: Any, clock: Clock | None = None) -> PostgresqlStore:
        """A store that works with such threads."""
        return PostgresqlStore(URL, in_thread, clock or self.clock, lambda: NOW)

    def open(self) -> Sequence[Lease]:
        return self.successResultOf(self.store.open())

    def logged(self, level: str) -> list[str]:
        """What was said at this level."""
        return [event["log_format"].format(**event) for event in self.events if event["log_level"].name == level]

    def failed(self, result: Deferred[Any]) -> str:
        """It failed, for the database is away: why."""
        return str(self.failureResultOf(result, StoreAway).value)


class OpenTests(PostgresqlTestCase):
    """How it begins and ends."""

    def test_interface(self) -> None:
        """It is a lease store that servers share."""
        verifyObject(ILeaseStore, self.store)
        self.assertTrue(self.store.shared)

    def test_leases(self) -> None:
        """Leases end by this host's clock when they end by the database's; a damaged record is left out."""
        self.database.rows["SELECT address"] = [
            (FIRST, key(1), 1, 50.0, b"u" * 16, b"client"),
            (FIRST + 1, key(2), 77, 50.0, b"", b""),
            (FIRST + 2, b"", 3, float("inf"), b"", b""),
        ]
        self.assertEqual(
            self.open(),
            (bound(0, 1, NOW + 50, uuid=b"u" * 16, hostname="client"), declined(2, float("inf"))),
        )
        (error,) = self.logged("error")
        self.assertTrue(error.startswith(f"{PLACE}: a damaged record"), error)

    def test_tables(self) -> None:
        """The tables are made where there are none, under a lock."""
        self.open()
        self.assertEqual(self.database.spoken("CREATE TABLE"), [])
        self.successResultOf(self.store.close())
        self.database.rows["to_regclass"] = [(None,)]
        self.store = self.build(at_once)
        self.open()
        words = [statement.split("(")[0] for statement, _ in self.database.said]
        self.assertLess(words.index("SELECT pg_advisory_xact_lock"), words.index("CREATE TABLE pybootd_leases "))

    def test_waits(self) -> None:
        """A database that is not there yet is waited for, and what is wrong said once, without the password."""
        self.database.broken = "connection refused"
        opened = self.store.open()
        self.clock.pump(PAUSES)
        self.assertNoResult(opened)
        self.database.broken = None
        self.clock.pump(PAUSES)
        self.assertEqual(self.successResultOf(opened), ())
        (error,) = self.logged("error")
        self.assertIn(f"{PLACE}: connection refused", error)
        self.assertNotIn("secret", str(self.events))
        self.assertEqual(self.logged("info"), [f"connected to {PLACE}"])

    def test_command(self) -> None:
        """A command that looks at the leases does not wait for a database."""
        self.database.broken = "connection refused"
        store = PostgresqlStore(URL, at_once, None, lambda: NOW)
        self.assertEqual(self.failed(store.open()), f"{PLACE}: connection refused")
        self.successResultOf(store.close())

    def test_address(self) -> None:
        """What is no address of a database is said without showing it."""
        error = self.assertRaises(StoreError, place_of, "postgresql://user:secret@host:port:port/x?what=")
        self.assertNotIn("secret", str(error))

    def test_close(self) -> None:
        """Its slices are given back, and nothing is said to the database any more."""
        self.open()
        self.successResultOf(self.store.close())
        self.assertEqual(len(self.database.spoken("DELETE FROM pybootd_slices")), 1)
        self.assertEqual(self.database.open, 0)
        self.clock.advance(HELD)
        self.assertEqual(self.database.said[-1][0].split()[0], "DELETE")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close_while_waiting(self) -> None:
        """It can be closed while it waits for the database, between two attempts and within one."""
        self.database.broken = "connection refused"
        for threads in (Threads(), None):
            store = self.build(threads or at_once)
            opened = store.open()
            closed = store.close()
            if threads is not None:
                self.assertNoResult(closed)
                threads.run()
            self.successResultOf(closed)
            self.failureResultOf(opened)
            self.clock.advance(HELD)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class CommitTests(PostgresqlTestCase):
    """Claims."""

    def setUp(self) -> None:
        super().setUp()
        self.open()

    def test_flags(self) -> None:
        """Each claim counts, but for the addresses that are another machine's."""
        self.database.taken = frozenset({FIRST + 1})
        claims = fresh(bound(0, 1), bound(1, 2), bound(2, 3))
        self.assertEqual(self.successResultOf(self.store.commit(claims)), [True, False, True])
        self.assertEqual(len(self.database.spoken("RETURNING address")), 1)

    def test_time_left(self) -> None:
        """The database is told how long leases last, for clocks differ."""
        self.successResultOf(self.store.commit(fresh(bound(0, 1, NOW + 60), bound(1, 2, float("inf")))))
        ((_, _, _, remaining, _, _, owner),) = self.database.spoken("RETURNING address")
        self.assertEqual((remaining, owner), ([60.0, float("inf")], None))

    def test_nothing(self) -> None:
        """A trial, with no claims, asks the database all the same."""
        self.assertEqual(self.successResultOf(self.store.commit(())), [])
        self.database.broken = "gone"
        self.failed(self.store.commit(()))

    def test_runs(self) -> None:
        """Claims that one statement cannot hold go in several, in their order."""
        rest = Claim(declined(3), fresh=False, owner=key(4))
        one, two, again = fresh(bound(0, 1), bound(1, 2), bound(0, 3))
        self.assertEqual(list(runs([one, two, again, rest])), [[one, two], [again], [rest]])
        self.assertEqual(list(runs([])), [])
        self.successResultOf(self.store.commit([one, rest]))
        self.assertEqual([values[-1] for values in self.database.spoken("RETURNING address")], [None, key(4)])


class LostTests(PostgresqlTestCase):
    """The database is lost."""

    def setUp(self) -> None:
        super().setUp()
        self.open()

    def test_lost(self) -> None:
        """Whoever asks is told at once, one line says so, and when it is back, all goes on."""
        self.database.broken = "server closed the connection"
        reason = self.failed(self.store.commit(fresh(bound(0, 1))))
        self.assertEqual(reason, f"{PLACE}: server closed the connection")
        said = len(self.database.said)
        self.database.broken = None
        self.failed(self.store.find(key(1)))
        self.failed(self.store.reserve(FIRST, 8))
        self.assertEqual(len(self.database.said), said)
        self.clock.pump(PAUSES)
        self.assertEqual(self.successResultOf(self.store.commit(fresh(bound(0, 1)))), [True])
        self.assertEqual(len(self.logged("error")), 1)
        self.assertEqual(self.logged("info"), [f"connected to {PLACE}"] * 2)
        self.assertEqual((self.database.connected, self.database.open), (2, 1))

    def test_reasons(self) -> None:
        """What else goes wrong until it is back is noted, each of it once."""
        self.database.broken = "shutting down"
        self.failed(self.store.commit(()))
        for reason in ("refused", "starting up", "refused", "shutting down"):
            self.database.broken = reason
            self.clock.pump(PAUSES)
        self.assertEqual(len(self.logged("error")), 1)
        notes = [f"connected to {PLACE}", f"{PLACE}: refused", f"{PLACE}: starting up"]
        self.assertEqual(self.logged("info"), notes)

    def test_noticed(self) -> None:
        """It is noticed though nobody asks: there is a sign of life now and then."""
        self.database.broken = "server closed the connection"
        self.clock.pump([HELD / 8] * 2)
        self.assertEqual(len(self.logged("error")), 1)

    def test_silence(self) -> None:
        """A database that does not answer is cut off, and whoever waits for it is told."""
        threads = Threads()
        store = self.build(threads)
        opened = store.open()
        threads.run()
        self.successResultOf(opened)
        threads.run()
        commit, found = store.commit(fresh(bound(0, 1))), store.find(key(1))
        self.clock.advance(ANSWER - 0.1)
        self.assertEqual(self.database.cut, 0)
        self.clock.advance(0.2)
        self.assertEqual(self.database.cut, 1)
        self.database.broken = "cut"
        threads.run()
        self.failed(commit)
        self.failed(found)

    def test_leaves_a_silent_one(self) -> None:
        """A database that does not answer does not keep the server from stopping."""
        threads = Threads()
        store = self.build(threads)
        opened = store.open()
        threads.run()
        self.successResultOf(opened)
        threads.run()
        closed = store.close()
        self.clock.advance(ANSWER)
        self.assertEqual(self.database.cut, 1)
        self.database.broken = "cut"
        threads.run()
        self.successResultOf(closed)

    def test_mistake(self) -> None:
        """What is no error of the database's is told as it is, and the connection stays."""

        def write(claims: object) -> object:
            raise ZeroDivisionError

        self.patch(self.store._session, "write", write)
        self.failureResultOf(self.store.commit(()), ZeroDivisionError)
        self.assertEqual(self.database.connected, 1)


class FindTests(PostgresqlTestCase):
    """What is known of machines."""

    def test_together(self) -> None:
        """Machines that are asked about while the database is busy share one question, and each gets its own."""
        threads = Threads()
        self.store = self.build(threads)
        opened = self.store.open()
        threads.run()
        self.successResultOf(opened)
        threads.run()
        commit = self.store.commit(())
        self.database.rows["SELECT address"] = [
            (FIRST, key(1), 1, 50.0, b"", b""),
            (FIRST + 1, key(3), 1, 50.0, b"", b""),
        ]
        found = [self.store.find(key(machine)) for machine in (1, 2, 3, 1)]
        threads.run()
        self.successResultOf(commit)
        self.assertEqual(len(self.database.spoken("ANY")), 1)
        mine = [bound(0, 1, NOW + 50)]
        told = [self.successResultOf(one) for one in found]
        self.assertEqual(told, [mine, [], [bound(1, 3, NOW + 50)], mine])


class SliceTests(PostgresqlTestCase):
    """Parts of a pool that one server holds."""

    def setUp(self) -> None:
        super().setUp()
        self.open()
        self.me = self.store._session._server

    def reserve(self, *known: tuple[int, int, str, bool]) -> Sequence[range]:
        """Ask for a part of a pool of 16, of which these parts (both ends by place) are held; what is held now."""
        self.database.rows["FROM pybootd_slices"] = [
            (FIRST + first, FIRST + last, server, held) for first, last, server, held in known
        ]
        allotment = self.successResultOf(self.store.reserve(FIRST, 16))
        return [range(part.start - FIRST, part.stop - FIRST) for part in allotment.slices]

    def test_first(self) -> None:
        """The first two addresses of an untouched pool of 16."""
        self.assertEqual(self.reserve(), [range(0, 2)])
        self.assertEqual(self.database.spoken("INSERT INTO pybootd_slices"), [[FIRST, FIRST + 1, self.me, HELD]])

    def test_next(self) -> None:
        """What nobody holds comes first; what a silent server holds is left alone meanwhile."""
        slices = self.reserve((0, 1, self.me, True), (2, 3, "other", False), (6, 7, "other", True))
        self.assertEqual(slices, [range(0, 2), range(4, 6)])

    def test_silent(self) -> None:
        """Where all is held, what a silent server holds is taken."""
        self.assertEqual(self.reserve((0, 7, "other", True), (8, 15, "gone", False)), [range(8, 16)])

    def test_own(self) -> None:
        """Its own slices stay its own after a silence, while nobody has taken them."""
        self.assertEqual(self.reserve((0, 7, self.me, False), (8, 15, "other", True)), [range(0, 8)])
        self.assertEqual(self.database.spoken("INSERT INTO pybootd_slices"), [])

    def test_wider(self) -> None:
        """A slice of a pool that was larger once is cut to the pool."""
        self.assertEqual(self.reserve((-8, 17, self.me, True)), [range(0, 16)])

    def test_leases(self) -> None:
        """What is known of the new slice's addresses comes with it."""
        self.database.rows["JOIN unnest"] = [(FIRST, key(1), 1, 50.0, b"", b"")]
        self.database.rows = dict(reversed(self.database.rows.items()))
        allotment = self.successResultOf(self.store.reserve(FIRST, 16))
        self.assertEqual(allotment.leases, (Lease(FIRST, key(1), State.BOUND, NOW + 50),))

    def test_gaps(self) -> None:
        """The parts between those that are taken, no longer than a slice."""
        for pool, taken, expected in (
            (range(0, 16), [], [range(0, 2)]),
            (range(0, 16), [range(0, 16)], []),
            (range(0, 16), [range(1, 3), range(4, 16)], [range(0, 1), range(3, 4)]),
            (range(4, 12), [range(0, 5), range(11, 20)], [range(5, 6)]),
            (range(0, 5), [range(0, 1)], [range(1, 2)]),
        ):
            self.assertEqual(list(gaps(pool, taken)), expected, (pool, taken))
