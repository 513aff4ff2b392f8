"""Leases in a file."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pybootd.errors import EnvironmentProblem, StoreError, StoreInUse
from pybootd.interfaces import ILeaseRecords, ILeaseStore
from pybootd.leases import disk, sqlite
from pybootd.leases.disk import Disk
from pybootd.leases.lease import Lease
from pybootd.leases.sqlite import SqliteStore
from tests.support.leases import FIRST, Threads, at_once, bound, declined, fresh, key, released


class SqliteTestCase(SynchronousTestCase):
    """A file of the test's own."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = self.directory / "leases"
        self.store = SqliteStore(self.path, at_once)
        self.addCleanup(lambda: self.store.close())

    def open(self) -> Sequence[Lease]:
        """Start, or start again."""
        self.successResultOf(self.store.close())
        self.store = SqliteStore(self.path, at_once)
        return self.successResultOf(self.store.open())

    def write(self, *leases: Lease) -> None:
        """These leases are durable."""
        flags = self.successResultOf(self.store.commit(fresh(*leases)))
        self.assertEqual(list(flags), [True] * len(leases))

    def change(self, statement: str, *values: Any) -> None:
        """Somebody else changes the file."""
        database = sqlite3.connect(self.path)
        with database:
            database.execute(statement, values)
        database.close()

    def rows(self) -> int:
        """How many rows the file has."""
        database = sqlite3.connect(self.path)
        self.addCleanup(database.close)
        return int(database.execute("SELECT count(*) FROM leases").fetchone()[0])

    def refused(self, *words: str) -> StoreError:
        """The file cannot be opened; the message has these words."""
        error = self.failureResultOf(self.store.open(), StoreError).value
        for word in (str(self.path), *words):
            self.assertIn(word, str(error))
        return error


class DurableTests(SqliteTestCase):
    """What is written is there after a restart."""

    def test_interface(self) -> None:
        """It is a lease store, of one server."""
        verifyObject(ILeaseStore, self.store)
        self.assertFalse(self.store.shared)
        self.assertEqual(self.store.find(key(1)), ())
        self.assertEqual(self.store.reserve(FIRST, 3).slices, (range(FIRST, FIRST + 3),))

    def test_reopened(self) -> None:
        """Leases of every kind, with everything that is known of their machines."""
        self.assertEqual(self.open(), ())
        leases = (
            bound(0, 1, uuid=b"u" * 16, hostname="client"),
            bound(1, 2, float("inf")),
            released(2, 3),
            declined(3),
        )
        self.write(*leases)
        self.assertEqual(self.open(), leases)
        self.assertEqual(self.open(), leases)

    def test_together(self) -> None:
        """However many leases are committed together, all of them are there, in their order."""
        self.open()
        expected: tuple[Lease, ...] = ()
        for count in (1, sqlite.STATEMENT, sqlite.STATEMENT + 1, 3 * sqlite.STATEMENT + 5):
            begin = len(expected)
            leases = tuple(bound(n, n) for n in range(begin, begin + count))
            self.write(*leases)
            expected += leases
            self.assertEqual(self.rows(), len(expected))
        self.assertEqual(self.open(), expected)

    def test_latest(self) -> None:
        """The latest record of an address is its truth, and the latest lease comes last."""
        self.open()
        self.write(bound(0, 1), bound(1, 1))
        self.write(declined(1), bound(2, 2))
        self.write(bound(0, 1, 5.0))
        self.assertEqual(self.open(), (declined(1), bound(2, 2), bound(0, 1, 5.0)))

    def test_synced(self) -> None:
        """Each commit is synced (synchronous = FULL), in a write-ahead log."""
        self.open()
        database = self.store._database
        assert database is not None
        self.assertEqual(database.execute("PRAGMA synchronous").fetchone(), (2,))
        self.assertEqual(database.execute("PRAGMA journal_mode").fetchone(), ("wal",))

    def test_memory(self) -> None:
        """However large the file becomes, few of its pages stay in memory."""
        self.open()
        database = self.store._database
        assert database is not None
        self.assertEqual(database.execute("PRAGMA cache_size").fetchone(), (-256,))

    def test_private(self) -> None:
        """Nobody else may read who has which address."""
        self.addCleanup(os.umask, os.umask(0))
        self.open()
        self.write(bound(0, 1))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in self.directory.iterdir()}
        self.assertEqual(set(modes.values()), {0o600}, modes)

    def test_owner(self) -> None:
        """What root's command makes beside the file belongs to the file's owner."""
        self.open()
        self.successResultOf(self.store.close())
        given: list[tuple[int, int]] = []
        self.patch(os, "geteuid", lambda: 0)
        self.patch(os, "fchown", lambda file, user, group: given.append((user, group)))
        status = self.path.stat()
        self.open()
        self.assertEqual(given, [(status.st_uid, status.st_gid)])

    def test_readable_beside(self) -> None:
        """A command may look at the leases while the server runs, and sees what is durable."""
        self.open()
        self.write(bound(0, 1))
        self.assertEqual(SqliteStore(self.path, at_once).read(), (bound(0, 1),))
        self.write(bound(1, 2))

    def test_nothing_to_read(self) -> None:
        """Looking makes no file."""
        with self.assertRaises(StoreError):
            SqliteStore(self.path, at_once).read()
        self.assertEqual(list(self.directory.iterdir()), [])


class RefusalTests(SqliteTestCase):
    """What cannot be used is said, with what to do, and never answered around."""

    def test_in_use(self) -> None:
        """A second server on the same file does not start."""
        self.open()
        second = SqliteStore(self.path, at_once)
        error = self.failureResultOf(second.open(), StoreInUse).value
        self.assertIsInstance(error, EnvironmentProblem)
        self.assertIn("another pybootd uses this lease file", str(error))
        self.write(bound(0, 1))

    def test_free_again(self) -> None:
        """When the first one has ended it does."""
        self.open()
        self.successResultOf(self.store.close())
        second = SqliteStore(self.path, at_once)
        self.successResultOf(second.open())
        self.successResultOf(second.close())

    def test_no_directory(self) -> None:
        """A missing directory is not made: it may be a disk that is not mounted."""
        self.path = self.directory / "nowhere" / "leases"
        self.store = SqliteStore(self.path, at_once)
        self.refused("make the directory")

    def test_not_writable(self) -> None:
        """A directory of somebody else's."""

        def refuse(*_: Any, **__: Any) -> int:
            raise PermissionError(13, "Permission denied")

        self.patch(os, "open", refuse)
        self.refused("Permission denied", "must be writable for the daemon's user, ")

    def test_not_readable(self) -> None:
        """Who lists the leases without being allowed to read them is told who is."""
        self.open()
        self.patch(os, "access", lambda path, mode: False)
        error = self.assertRaises(StoreError, self.store.read)
        self.assertIn("may not read it; ask as root, or as the daemon's user", str(error))

    def test_is_a_directory(self) -> None:
        """A directory in the file's place."""
        self.path.mkdir()
        self.refused("Is a directory")

    def test_damaged(self) -> None:
        """A file that is no database is left as it is."""
        self.path.write_bytes(b"not a database, but a letter\n" * 100)
        self.refused("not a database", "put a copy in its place, or move it away")
        self.assertTrue(self.path.read_bytes().startswith(b"not a database, but a letter\n"))

    def test_damaged_inside(self) -> None:
        """So is one that is damaged somewhere inside."""
        self.open()
        self.write(*(bound(n, n + 1) for n in range(1000)))
        self.successResultOf(self.store.close())
        data = bytearray(self.path.read_bytes())
        for page in range(4096, len(data), 4096):
            data[page : page + 16] = b"\xff" * 16
        self.path.write_bytes(data)
        self.store = SqliteStore(self.path, at_once)
        self.refused("malformed", "put a copy in its place")
        self.assertEqual(self.path.read_bytes(), data)

    def test_newer(self) -> None:
        """A file of a newer version is not touched."""
        self.open()
        self.successResultOf(self.store.close())
        self.change("PRAGMA user_version = 7")
        self.store = SqliteStore(self.path, at_once)
        self.refused("format 7", "newer pybootd")

    def test_refused_and_freed(self) -> None:
        """A file that could not be opened is not held."""
        self.path.write_bytes(b"letter" * 1000)
        self.refused()
        self.path.unlink()
        self.assertEqual(self.open(), ())

    def test_bad_row(self) -> None:
        """A bad record costs one lease, never the start."""
        self.open()
        self.write(bound(0, 1), bound(1, 2), bound(2, 3))
        self.successResultOf(self.store.close())
        self.change("UPDATE leases SET machine = 5 WHERE address = ?", FIRST + 1)
        self.assertEqual(self.open(), (bound(0, 1), bound(2, 3)))


class FailureTests(SqliteTestCase):
    """While the server runs."""

    def full(self, full: bool = True) -> None:
        """The disk is full, or has room again."""
        database = self.store._database
        assert database is not None
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages if full else 1_000_000}")

    def test_disk_full(self) -> None:
        """With a full disk nothing counts; when there is room again it goes on."""
        self.open()
        self.write(bound(0, 1))
        self.full()
        many = fresh(*(bound(n, n, hostname="x" * 200) for n in range(1, 500)))
        error = self.failureResultOf(self.store.commit(many), StoreError).value
        self.assertIn("make room on the disk", str(error))
        self.full(False)
        self.write(bound(1, 2))
        self.assertEqual(self.open(), (bound(0, 1), bound(1, 2)))

    def test_all_or_none(self) -> None:
        """Of leases that are committed together not one is written where one cannot be, however many they are."""
        self.open()
        self.write(bound(0, 1))
        self.change(
            "CREATE TRIGGER t BEFORE INSERT ON leases WHEN new.expires = 5.0 BEGIN SELECT RAISE(ABORT, 'x'); END"
        )
        for count in (3, sqlite.STATEMENT + 3):
            leases = [bound(n, n) for n in range(1, count)]
            self.failureResultOf(self.store.commit(fresh(*leases, bound(count, count, 5.0))), StoreError)
            self.assertEqual(self.rows(), 1)
        self.write(bound(1, 1))
        self.assertEqual(self.open(), (bound(0, 1), bound(1, 1)))

    def test_moved_away(self) -> None:
        """A file that was moved or deleted under the server is not written on, as if nothing had happened."""
        self.open()
        for path in (self.path, Path(f"{self.path}-wal")):
            aside = path.rename(self.directory / "old")
            error = self.failureResultOf(self.store.commit(fresh(bound(0, 1))), StoreError).value
            self.assertIn(f"{path}: was removed or moved away; put it back", str(error))
            path.write_bytes(b"")
            error = self.failureResultOf(self.store.commit(fresh(bound(0, 1))), StoreError).value
            self.assertIn("is not the file that was opened; put it back", str(error))
            aside.rename(path)
            self.write(bound(0, 1))
        self.assertEqual(self.open(), (bound(0, 1),))

    def test_trial(self) -> None:
        """A commit of nothing says whether something could be written, and leaves nothing behind."""
        self.open()
        self.write(bound(0, 1))
        self.assertEqual(self.successResultOf(self.store.commit(())), [])
        self.assertEqual(self.rows(), 1)
        self.assertEqual(self.open(), (bound(0, 1),))

    def test_trial_fails(self) -> None:
        """Where nothing can be written, that fails too."""
        self.open()
        database = self.store._database
        assert database is not None
        database.execute("PRAGMA query_only = ON")
        error = self.failureResultOf(self.store.commit(()), StoreError).value
        self.assertIn("must be writable for the daemon's user", str(error))

    def test_held_by_another_program(self) -> None:
        """Another program that writes to the file holds it up for a moment, and is named as the reason."""
        self.patch(sqlite, "BUSY", 0.01)
        self.open()
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        error = self.failureResultOf(self.store.commit(fresh(bound(0, 1))), StoreError).value
        self.assertIn("another program writes to it", str(error))
        other.execute("ROLLBACK")
        other.close()
        self.write(bound(0, 1))

    def test_closed(self) -> None:
        """After it was closed nothing is written."""
        self.open()
        self.successResultOf(self.store.close())
        self.failureResultOf(self.store.commit(fresh(bound(0, 1))), StoreError)


class ThreadTests(SqliteTestCase):
    """A slow disk."""

    def setUp(self) -> None:
        super().setUp()
        self.threads = Threads()
        self.store = SqliteStore(self.path, self.threads)
        self.successResultOf(self.store.open())

    def open_slowly(self) -> None:
        """Start again, on a disk whose first sync takes long already."""
        self.successResultOf(self.store.close())
        self.patch(disk, "SLOW", 0.0)
        self.store = SqliteStore(self.path, self.threads)
        self.successResultOf(self.store.open())

    def test_fast_disk(self) -> None:
        """As long as syncs are quick, commits are done in line."""
        self.store._disk = Disk()
        self.patch(disk, "SLOW", 1e9)
        self.write(bound(0, 1))
        self.write(bound(1, 2))
        self.assertEqual(self.threads.jobs, [])

    def test_slow_disk(self) -> None:
        """Where syncs take long, the first one at the start included, commits are done in a thread."""
        self.open_slowly()
        written = self.store.commit(fresh(bound(0, 1)))
        self.assertNoResult(written)
        self.threads.run()
        self.assertEqual(self.successResultOf(written), [True])
        self.store._disk = Disk()
        self.patch(disk, "SLOW", 1e9)
        self.write(bound(1, 2))

    def test_failure_in_thread(self) -> None:
        """A failure there is explained like any other."""
        self.open_slowly()
        self.path.unlink()
        written = self.store.commit(fresh(bound(1, 2)))
        self.threads.run()
        self.assertIn("was removed", str(self.failureResultOf(written, StoreError).value))

    def test_closed_meanwhile(self) -> None:
        """Closing waits for the thread."""
        self.open_slowly()
        written = self.store.commit(fresh(bound(0, 1)))
        closed = self.store.close()
        self.assertNoResult(closed)
        self.threads.run()
        self.successResultOf(written)
        self.successResultOf(closed)
        self.assertEqual(self.open(), (bound(0, 1),))


class AskedBackTests(SqliteTestCase):
    """A command asks the server that has hold of the file to end leases."""

    def setUp(self) -> None:
        super().setUp()
        self.command = SqliteStore(self.path, at_once)

    def test_interface(self) -> None:
        """Commands may look into this store."""
        verifyObject(ILeaseRecords, self.store)

    def asked(self) -> list[tuple[int, bytes, float]]:
        """What the server learns when it looks."""
        return [(lease.address, lease.key, lease.expires) for lease in self.store.asked_back()]

    def test_asked(self) -> None:
        """The server learns of each lease once; the records are as they were until it has ended them."""
        self.open()
        leases = (bound(0, 1, 5.5), bound(1, 2, float("inf")))
        self.write(*leases)
        self.assertEqual(self.asked(), [])
        self.command.ask_back(leases)
        self.assertEqual(self.asked(), [(lease.address, lease.key, lease.expires) for lease in leases])
        self.assertEqual(self.asked(), [])
        self.assertEqual(self.command.read(), leases)
        self.command.ask_back(leases[:1])
        self.assertEqual(len(self.asked()), 1)

    def test_restart(self) -> None:
        """What was asked just before the server ended is not forgotten."""
        self.open()
        self.command.ask_back([bound(0, 1)])
        self.open()
        self.assertEqual(len(self.asked()), 1)

    def test_not_while_writing(self) -> None:
        """While a thread writes, the file is left alone."""
        threads = Threads()
        self.patch(disk, "SLOW", 0.0)
        self.store = SqliteStore(self.path, threads)
        self.successResultOf(self.store.open())
        self.command.ask_back([bound(0, 1)])
        written = self.store.commit(fresh(bound(1, 2)))
        self.assertEqual(self.asked(), [])
        threads.run()
        self.successResultOf(written)
        self.assertEqual(len(self.asked()), 1)

    def test_nobody(self) -> None:
        """A store that is not open has nothing to say, and without a file nothing can be asked."""
        self.assertEqual(self.asked(), [])
        with self.assertRaises(StoreError):
            self.command.ask_back([bound(0, 1)])
        self.assertEqual(list(self.directory.iterdir()), [])


class CompactionTests(SqliteTestCase):
    """The file does not grow for ever."""

    def test_at_start(self) -> None:
        """Outdated records are dropped at the start, when there are many."""
        self.open()
        self.write(*(bound(0, 1, float(again)) for again in range(1200)))
        leases = self.open()
        self.assertEqual((leases, self.rows()), ((bound(0, 1, 1199.0),), 1))
        self.assertEqual(self.open(), leases)

    def test_no_room(self) -> None:
        """Where there is no room to drop them in, the server starts all the same, and says so."""
        self.open()
        self.write(*(bound(0, 1, float(again)) for again in range(1200)))

        def full(store: SqliteStore, database: sqlite3.Connection) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        self.patch(SqliteStore, "_compact", full)
        events: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        self.assertEqual(self.open(), (bound(0, 1, 1199.0),))
        self.assertEqual([event["log_level"].name for event in events], ["warn"])

    def test_while_running(self) -> None:
        """And while the server runs, in a thread."""
        self.patch(sqlite, "GROWN", 100)
        self.patch(disk, "SLOW", 1e9)
        threads = Threads()
        self.store = SqliteStore(self.path, threads)
        self.successResultOf(self.store.open())
        self.write(*(bound(0, 1, float(again)) for again in range(100)), bound(1, 2))
        self.assertEqual(self.rows(), 101)
        written = self.store.commit(fresh(bound(0, 1)))
        self.assertNoResult(written)
        threads.run()
        self.successResultOf(written)
        self.assertEqual(self.rows(), 2)
        self.write(bound(1, 2, 7.0))
        self.assertEqual(self.open(), (bound(0, 1), bound(1, 2, 7.0)))
