"""
Leases in a file: SQLite with a write-ahead log, synced before a commit counts.

Rows are only ever added: the latest row of an address is its truth, so that a commit touches the end of one table,
however many leases there are.  What is outdated is dropped when the file is opened, and when it has grown.

The file is made, with mode 0600, when the service starts: after C{twistd --uid} has dropped its privileges, so that
the daemon's user must be able to write to the directory.
"""

from __future__ import annotations

import os
import pwd
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pybootd.errors import StoreError, StoreInUse
from pybootd.interfaces import ILeaseStore
from pybootd.leases.lease import Allotment, Claim, Lease
from pybootd.leases.record import readable, row_of

VERSION = 1

SLOW = 0.004
"""Seconds: a disk whose sync takes longer is written to by a thread, so that TFTP and HTTP go on meanwhile."""

GROWN = 100_000
"""Rows that were added until the outdated ones are dropped, while the server runs."""

BUSY = 1.0
"""Seconds to wait for a program that reads or copies the file."""

SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # macOS: through the disk's own cache too
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -2048",
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS leases (
    number INTEGER PRIMARY KEY, address INTEGER NOT NULL, machine BLOB NOT NULL, state INTEGER NOT NULL,
    expires REAL NOT NULL, uuid BLOB NOT NULL, hostname BLOB NOT NULL
)
"""
INSERT = "INSERT INTO leases (address, machine, state, expires, uuid, hostname) VALUES (?, ?, ?, ?, ?, ?)"
SELECT = """
SELECT address, machine, state, expires, uuid, hostname FROM leases
WHERE number IN (SELECT max(number) FROM leases GROUP BY address) ORDER BY number
"""
DROP = "DELETE FROM leases WHERE number NOT IN (SELECT max(number) FROM leases GROUP BY address)"

InThread = Callable[..., "Deferred[Any]"]


@implementer(ILeaseStore)
class SqliteStore:
    """One file, one server."""

    log = Logger()
    name = "sqlite"
    shared = False

    def __init__(self, path: Path, in_thread: InThread) -> None:
        """@param in_thread: runs a function in a thread, with a Deferred of its result."""
        self.path = path
        self._in_thread = in_thread
        self._database: sqlite3.Connection | None = None
        self._file = (0, 0)
        self._lock: int | None = None
        self._sync = 0.0
        self._rows = 0
        self._enough = GROWN
        self._writing: Deferred[Any] | None = None

    def open(self) -> Deferred[Sequence[Lease]]:
        opened = maybeDeferred(self._open)
        opened.addErrback(self._not_opened)
        return opened

    def read(self) -> Sequence[Lease]:
        """
        What is on record, without taking hold of the file: another server may use it.

        @raise StoreError: it cannot be read.
        """
        try:
            self.path.stat()
            database = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY)
            try:
                return tuple(readable(database.execute(SELECT), self.path))
            finally:
                database.close()
        except (sqlite3.Error, OSError) as error:
            raise self._explained(error) from error

    def commit(self, claims: Sequence[Claim]) -> Deferred[Sequence[bool]]:
        if self._sync > SLOW or self._rows > self._enough:
            written = self._in_thread(self._commit, claims)
        else:
            written = maybeDeferred(self._commit, claims)
        self._writing = written
        written.addErrback(self._failed)
        return written

    def find(self, key: bytes) -> Sequence[Lease]:
        return ()

    def reserve(self, first: int, count: int) -> Allotment:
        return Allotment((range(first, first + count),))

    def close(self) -> Deferred[None]:
        closed: Deferred[None] = Deferred()

        def finish(result: Any) -> Any:
            self._close()
            closed.callback(None)
            return result

        if self._writing is None or self._writing.called:
            finish(None)
        else:
            self._writing.addBoth(finish)
        return closed

    def _not_opened(self, failure: Failure) -> Failure:
        self._close()
        return self._failed(failure)

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # all that follows may run in a thread, one call at a time

    def _open(self) -> Sequence[Lease]:
        self._take()
        database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=BUSY)
        self._database = database
        for setting in SETTINGS:
            database.execute(setting)
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StoreError(
                f"{self.path}: written by a newer pybootd (format {version}); use that one, or another file"
            )
        database.execute(SCHEMA)
        begin = time.monotonic()
        database.execute(f"PRAGMA user_version = {VERSION}")
        self._sync = time.monotonic() - begin
        leases = tuple(readable(database.execute(SELECT), self.path))
        (self._rows,) = database.execute("SELECT count(*) FROM leases").fetchone()
        self._enough = 2 * len(leases) + GROWN
        if self._rows > 2 * len(leases) + 1000:
            self._compact(database)
        return leases

    def _take(self) -> None:
        """The file is this server's alone, and nobody else may read it."""
        try:
            self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            flock(self._lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise StoreInUse(
                f"{self.path}: another pybootd uses this lease file; stop it, or name another file"
            ) from None
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._file = self._identity()

    def _identity(self) -> tuple[int, int]:
        status = self.path.stat()
        return status.st_dev, status.st_ino

    def _compact(self, database: sqlite3.Connection) -> None:
        database.execute(DROP)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (self._rows,) = database.execute("SELECT count(*) FROM leases").fetchone()
        self._enough = 2 * self._rows + GROWN

    def _commit(self, claims: Sequence[Claim]) -> Sequence[bool]:
        database = self._database
        if database is None:
            raise StoreError(f"{self.path}: is closed")
        if self._identity() != self._file:
            raise StoreError(f"{self.path}: is not the file that was opened; start pybootd anew")
        grown = self._rows > self._enough
        begin = time.monotonic()
        try:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(INSERT, [row_of(claim.lease) for claim in claims])
            database.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            raise
        # the slowest of late, forgotten by and by
        self._sync = max(time.monotonic() - begin, self._sync * 0.95)
        self._rows += len(claims)
        if grown:
            self._tidy(database)
        return [True] * len(claims)

    def _tidy(self, database: sqlite3.Connection) -> None:
        try:
            self._compact(database)
        except sqlite3.Error as error:
            self._enough += GROWN
            self.log.warn("{path}: cannot drop outdated records: {error}", path=self.path, error=error)

    def _failed(self, failure: Failure) -> Failure:
        return Failure(self._explained(failure.value))

    def _explained(self, error: Any) -> Any:
        """What SQLite or the system says, and what it means for the person who reads it."""
        if not isinstance(error, (sqlite3.Error, OSError)):
            return error
        text = str(error) if isinstance(error, sqlite3.Error) else error.strerror or str(error)
        advice = next((advice for part, advice in ADVICE if part in text.lower()), "")
        return StoreError(f"{self.path}: {text}{advice.format(user=_user())}")


WRITABLE = "; the file and its directory must be writable for the daemon's user, {user}"
DAMAGED = "; put a copy in its place, or move it away: then machines get new addresses"
ADVICE = (
    ("no such file", "; make the directory, or name another file in [leases] store"),
    ("unable to open", WRITABLE),
    ("permission denied", WRITABLE),
    ("readonly", WRITABLE),
    ("read-only", WRITABLE),
    ("full", "; make room on the disk"),
    ("no space", "; make room on the disk"),
    ("malformed", DAMAGED),
    ("not a database", DAMAGED),
    ("locked", "; another program writes to it"),
)
"""What a part of the message means."""


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
