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
from itertools import chain
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pybootd.errors import StoreError, StoreInUse
from pybootd.interfaces import ILeaseRecords, ILeaseStore
from pybootd.leases.disk import Disk
from pybootd.leases.lease import Allotment, Claim, Lease, State
from pybootd.leases.record import readable, row_of

VERSION = 1

GROWN = 100_000
"""Rows that were added until the outdated ones are dropped, while the server runs."""

BUSY = 1.0
"""Seconds to wait for a program that reads or copies the file."""

SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # macOS: through the disk's own cache too
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -256",  # KiB: only the end of the table is written; a larger one fills with pages nobody reads
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS leases (
    number INTEGER PRIMARY KEY, address INTEGER NOT NULL, machine BLOB NOT NULL, state INTEGER NOT NULL,
    expires REAL NOT NULL, uuid BLOB NOT NULL, hostname BLOB NOT NULL
)
"""
ASKED = """
CREATE TABLE IF NOT EXISTS asked_back (number INTEGER PRIMARY KEY, address INTEGER, machine BLOB, expires REAL)
"""
INSERT = "INSERT INTO leases (address, machine, state, expires, uuid, hostname) VALUES (?, ?, ?, ?, ?, ?)"
FURTHER = ", (?, ?, ?, ?, ?, ?)"
SELECT = """
SELECT address, machine, state, expires, uuid, hostname FROM leases
WHERE number IN (SELECT max(number) FROM leases GROUP BY address) ORDER BY number
"""
DROP = "DELETE FROM leases WHERE number NOT IN (SELECT max(number) FROM leases GROUP BY address)"

STATEMENT = 32
"""Rows that one statement writes, at most; the statements for each number of rows are kept ready."""

TRIAL = [(0, b"", 0, 0.0, b"", bytes(64))] * 16
"""Rows that are written and dropped again at once, to see whether that is possible."""

InThread = Callable[..., "Deferred[Any]"]


@implementer(ILeaseStore, ILeaseRecords)
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
        self._files: Sequence[tuple[int, int]] = ()
        self._parts: Sequence[Path] = (path,)
        self._version: object = None
        self._lock: int | None = None
        self._disk = Disk()
        self._rows = 0
        self._enough = GROWN
        self._writing: Deferred[Any] | None = None

    def open(self) -> Deferred[Sequence[Lease]]:
        opened = maybeDeferred(self._open)
        opened.addErrback(self._not_opened)
        return opened

    def read(self) -> Sequence[Lease]:
        try:
            self.path.stat()
            if not os.access(self.path, os.R_OK):
                raise StoreError(f"{self.path}: {_user()} may not read it; ask as root, or as the daemon's user")
            database = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY)
            try:
                return tuple(readable(database.execute(SELECT), self.path))
            finally:
                database.close()
        except FileNotFoundError:
            raise StoreError(
                f"{self.path}: No such file: no server has served with this configuration yet, or it runs in another "
                f"directory, where ./ is"
            ) from None
        except (sqlite3.Error, OSError) as error:
            raise self._explained(error) from error

    def ask_back(self, leases: Sequence[Lease]) -> None:
        rows = [(lease.address, lease.key, lease.expires) for lease in leases]
        try:
            database = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY)
            try:
                database.execute("PRAGMA wal_autocheckpoint = 0")  # that is the server's
                with database:
                    database.executemany("INSERT INTO asked_back (address, machine, expires) VALUES (?, ?, ?)", rows)
            finally:
                database.close()
        except (sqlite3.Error, OSError) as error:
            raise self._explained(error) from error

    def asked_back(self) -> Sequence[Lease]:
        database = self._database
        if database is None or not (self._writing is None or self._writing.called):
            return ()
        with suppress(sqlite3.Error):
            (version,) = database.execute("PRAGMA data_version").fetchone()
            if version != self._version:
                rows = database.execute("SELECT address, machine, expires FROM asked_back").fetchall()
                if rows:
                    database.execute("DELETE FROM asked_back")
                self._version = version
                bound = int(State.BOUND)
                asked = ((address, machine, bound, expires, b"", b"") for address, machine, expires in rows)
                return tuple(readable(asked, self.path))
        return ()

    def commit(self, claims: Sequence[Claim]) -> Deferred[Sequence[bool]]:
        if self._disk.slow(time.monotonic()) or self._rows > self._enough:
            written = self._in_thread(self._commit, claims, True)
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
        modes = [database.execute(setting).fetchone() for setting in SETTINGS]
        # where memory cannot be shared (some network file systems) SQLite stays with its older journal
        self._parts = (self.path, Path(f"{self.path}-wal")) if modes[0] == ("wal",) else (self.path,)
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StoreError(
                f"{self.path}: written by a newer pybootd (format {version}); use that one, or another file"
            )
        database.execute(SCHEMA)
        # all of it is read before anything is written: a damaged file is left as it is
        leases = tuple(readable(database.execute(SELECT), self.path))
        database.execute(ASKED)
        begin = time.monotonic()
        database.execute(f"PRAGMA user_version = {VERSION}")
        self._disk.took(time.monotonic() - begin, begin, False)
        (self._rows,) = database.execute("SELECT count(*) FROM leases").fetchone()
        self._enough = 2 * len(leases) + GROWN
        if self._rows > 2 * len(leases) + 1000:
            self._tidy(database)
        self._files = self._identities()
        return leases

    def _take(self) -> None:
        """The file is this server's alone, and nobody else may read it."""
        try:
            self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if os.geteuid() == 0 and self.path.exists():
                # made by a command of root's it must not keep the daemon's user out
                owner = self.path.stat()
                os.fchown(self._lock, owner.st_uid, owner.st_gid)
            flock(self._lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise StoreInUse(
                f"{self.path}: another pybootd uses this lease file; stop it, or name another file"
            ) from None
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def _identities(self) -> Sequence[tuple[int, int]]:
        """Which files these are: the database and its log, which holds what was written last."""
        statuses = [part.stat() for part in self._parts]
        return [(status.st_dev, status.st_ino) for status in statuses]

    def _check_files(self) -> None:
        """A file without a name is written to without complaint, and lost with the process."""
        try:
            if self._identities() == self._files:
                return
        except FileNotFoundError as missing:
            raise StoreError(f"{missing.filename}: was removed or moved away; {PUT_BACK}") from None
        raise StoreError(f"{self.path}: is not the file that was opened; {PUT_BACK}")

    def _compact(self, database: sqlite3.Connection) -> None:
        database.execute(DROP)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (self._rows,) = database.execute("SELECT count(*) FROM leases").fetchone()
        self._enough = 2 * self._rows + GROWN

    def _commit(self, claims: Sequence[Claim], in_thread: bool = False) -> Sequence[bool]:
        database = self._database
        if database is None:
            raise StoreError(f"{self.path}: is closed")
        self._check_files()
        grown = self._rows > self._enough
        begin = time.monotonic()
        try:
            self._insert(database, claims)
        except BaseException:
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            raise
        self._disk.took(time.monotonic() - begin, begin, in_thread)
        self._rows += len(claims)
        if grown:
            self._tidy(database)
        return [True] * len(claims)

    def _insert(self, database: sqlite3.Connection, claims: Sequence[Claim]) -> None:
        """
        All of them in one transaction: where they are few, one statement, which is one by itself.

        Each step of a statement lets Python's other threads run, and has to wait for them.  With a statement for each
        row a commit in a thread took its turns with a busy reactor two dozen times, not once.
        """
        if 0 < len(claims) <= STATEMENT:
            _insert(database, claims)
            return
        database.execute("BEGIN IMMEDIATE")
        for first in range(0, len(claims), STATEMENT):
            _insert(database, claims[first : first + STATEMENT])
        if not claims:
            self._rehearse(database)
        database.execute("COMMIT")

    def _rehearse(self, database: sqlite3.Connection) -> None:
        """Whether there is room, and everything else that writing needs."""
        (last,) = database.execute("SELECT ifnull(max(number), 0) FROM leases").fetchone()
        database.executemany(INSERT, TRIAL)
        database.execute("DELETE FROM leases WHERE number > ?", (last,))

    def _tidy(self, database: sqlite3.Connection) -> None:
        try:
            self._compact(database)
        except sqlite3.OperationalError as error:  # no room, for example; not: damaged
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


def _insert(database: sqlite3.Connection, claims: Sequence[Claim]) -> None:
    database.execute(
        INSERT + FURTHER * (len(claims) - 1), list(chain.from_iterable(row_of(claim.lease) for claim in claims))
    )


PUT_BACK = "put it back, or start pybootd anew with the file that is there then: it knows no other leases"
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
    ("disk i/o error", "; the disk fails, or may not be written to any more: see the system's log"),
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
