"""
Leases in a file: SQLite with a write-ahead log, synced before a commit counts.

Rows are only ever added: the latest row of an address is its truth, so that a commit touches the end of one table,
however many leases there are.  What is outdated is dropped when the store is opened.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pybootd.errors import StoreError, StoreInUse
from pybootd.interfaces import ILeaseStore
from pybootd.leases.lease import Claim, Lease, State

VERSION = 1
SLOW = 0.004
"""Seconds: a disk whose sync takes longer is written to by a thread, so that TFTP and HTTP go on meanwhile."""

CACHE_KIB = 2048
SCHEMA = """
CREATE TABLE IF NOT EXISTS leases (
    number INTEGER PRIMARY KEY, address INTEGER NOT NULL, machine BLOB NOT NULL, state INTEGER NOT NULL,
    expires REAL NOT NULL, client_id BLOB NOT NULL, uuid BLOB NOT NULL, hostname TEXT NOT NULL
)
"""
INSERT = "INSERT INTO leases (address, machine, state, expires, client_id, uuid, hostname) VALUES (?, ?, ?, ?, ?, ?, ?)"
SELECT = "SELECT address, machine, state, expires, client_id, uuid, hostname FROM leases ORDER BY number"

InThread = Callable[..., "Deferred[Any]"]


@implementer(ILeaseStore)
class SqliteStore:
    """One file, one server."""

    log = Logger()
    name = "sqlite"
    shared = False

    def __init__(self, path: Path, in_thread: InThread | None = None) -> None:
        """
        @param in_thread: runs a function in a thread, with a Deferred of its result; without it commits run in line.
        """
        self.path = path
        self._in_thread = in_thread
        self._database: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._sync = 0.0
        self._writing: Deferred[Any] | None = None

    def open(self) -> Deferred[Sequence[Lease]]:
        try:
            return succeed(self._open())
        except StoreError as error:
            self._release()
            return fail(error)
        except (sqlite3.Error, OSError) as error:
            self._release()
            return fail(self._explained(error))

    def commit(self, claims: Sequence[Claim]) -> Deferred[Sequence[bool]]:
        if self._in_thread is not None and self._sync > SLOW:
            written = self._in_thread(self._commit, claims)
        else:
            written = maybeDeferred(self._commit, claims)
        self._writing = written
        written.addErrback(self._failed)
        return written

    def find(self, key: bytes) -> None:
        return None

    def reserve(self, first: int, count: int) -> Sequence[range]:
        return [range(first, first + count)]

    def close(self) -> Deferred[None]:
        if self._writing is None or self._writing.called:
            self._close()
            return succeed(None)
        closed: Deferred[None] = Deferred()

        def finish(result: Any) -> Any:
            self._close()
            closed.callback(None)
            return result

        self._writing.addBoth(finish)
        return closed

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        self._release()

    # all that follows may run in a thread, one call at a time

    def _open(self) -> Sequence[Lease]:
        self._take()
        database = self._database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StoreError(
                f"{self.path}: written by a newer pybootd (format {version}); use that one, or another file"
            )
        database.execute(SCHEMA)
        database.execute(f"PRAGMA user_version = {VERSION}")
        (rows,) = database.execute("SELECT count(*) FROM leases").fetchone()
        latest = {lease.address: lease for lease in self._read(database)}
        if rows > 2 * len(latest) + 1000:
            self._compact(database)
        return tuple(latest.values())

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

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _read(self, database: sqlite3.Connection) -> Iterator[Lease]:
        for row in database.execute(SELECT):
            try:
                yield checked(row)
            except (ValueError, TypeError) as error:
                self.log.error("{path}: a record cannot be read, it is left out: {error}", path=self.path, error=error)

    def _compact(self, database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM leases WHERE number NOT IN (SELECT max(number) FROM leases GROUP BY address)")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _commit(self, claims: Sequence[Claim]) -> Sequence[bool]:
        if self._database is None:
            raise StoreError(f"{self.path}: is closed")
        begin = time.monotonic()
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(INSERT, [row(claim.lease) for claim in claims])
            self._database.execute("COMMIT")
        except sqlite3.Error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        # the slowest of late, forgotten by and by
        self._sync = max(time.monotonic() - begin, self._sync * 0.95)
        return [True] * len(claims)

    def _failed(self, failure: Failure) -> Failure:
        return Failure(self._explained(failure.value))

    def _explained(self, error: BaseException | None) -> StoreError:
        if isinstance(error, StoreError):
            return error
        text = str(error) if isinstance(error, sqlite3.Error) else getattr(error, "strerror", None) or str(error)
        advice = next((advice for part, advice in ADVICE if part in text.lower()), "")
        return StoreError(f"{self.path}: {text}{advice}")


ADVICE = (
    ("no such file", "; make the directory, or set [leases] store"),
    ("unable to open", "; the directory must exist and be writable for the daemon's user"),
    ("permission denied", "; the file and its directory must be writable for the daemon's user"),
    ("readonly", "; the file and its directory must be writable for the daemon's user"),
    ("read-only", "; the file and its directory must be writable for the daemon's user"),
    ("full", "; make room"),
    ("no space", "; make room"),
    ("malformed", "; restore a backup, or move the file away to begin anew: machines then get new addresses"),
    ("not a database", "; restore a backup, or move the file away to begin anew: machines then get new addresses"),
)
"""What a part of SQLite's or the system's message means for the person who reads it."""


def row(lease: Lease) -> tuple[int, bytes, int, float, bytes, bytes, str]:
    """A lease as it is written."""
    return lease.address, lease.key, int(lease.state), lease.expires, lease.client_id, lease.uuid, lease.hostname


def checked(values: Sequence[Any]) -> Lease:
    """
    A lease as it was read.

    @raise ValueError, TypeError: it is none.
    """
    address, key, state, expires, client_id, uuid, hostname = values
    if not 0 < address < 1 << 32:
        raise ValueError(f"no address: {address}")
    if expires != expires:
        raise ValueError(f"address {address} expires never and always")
    return Lease(address, bytes(key), State(state), float(expires), bytes(client_id), bytes(uuid), str(hostname))
