"""
Leases in PostgreSQL: several servers on one network, one truth.

No address is ever given twice, whatever stops when: a claim is one statement, which takes an address only if it is
free, if its lease has ended, or if it is the machine's own.  So that servers do not offer one address to two machines,
each offers new machines addresses from slices of the pool that it alone holds; a slice whose server is silent for a
minute goes to whoever needs it.  Times are reckoned by the database's clock, for the servers' own may differ.

Needs psycopg 3 (C{pip install pybootd[postgresql]}), which works in a thread, one statement at a time.  A connection
that is lost, or does not answer, is made anew by itself.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, repeat
from os import dup, getpid, uname
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.conninfo import conninfo_to_dict
from twisted.internet.defer import CancelledError, Deferred, DeferredLock, fail, inlineCallbacks
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pybootd.errors import StoreAway, StoreError
from pybootd.interfaces import ILeaseStore
from pybootd.leases.lease import Allotment, Claim, Lease, slice_size
from pybootd.leases.record import readable, row_of

HELD = 60.0
"""Seconds for which a slice is held without a sign of life."""

ANSWER = 5.0
"""Seconds after which a database that does not answer counts as lost."""

CONNECT = 5
"""Seconds for an attempt to connect."""

REASONS = 8
"""So many different things that are wrong with the database are told until it works again."""

PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each attempt to connect again; the last repeats."""

SCHEMA_LOCK, SLICE_LOCK = 0x7079626F01, 0x7079626F02
"""Advisory locks, for servers that start, or take a slice, at once."""

SESSION = f"""
SET statement_timeout = {ANSWER * 1000:.0f};
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
TABLES = """
CREATE TABLE pybootd_leases (
    address bigint PRIMARY KEY, machine bytea NOT NULL, state smallint NOT NULL,
    expires double precision NOT NULL, uuid bytea NOT NULL, hostname bytea NOT NULL
);
CREATE INDEX pybootd_machines ON pybootd_leases (machine);
CREATE TABLE pybootd_slices (
    first bigint PRIMARY KEY, last bigint NOT NULL, server text NOT NULL, until double precision NOT NULL
)
"""
LEASES = """
SELECT address, machine, state, expires - extract(epoch FROM clock_timestamp())::float8, uuid, hostname
FROM pybootd_leases
"""
OF = "WHERE machine = ANY (%s)"
WITHIN = "JOIN unnest(%s::bigint[], %s::bigint[]) AS slice (first, last) ON address BETWEEN first AND last"
CLAIM = """
INSERT INTO pybootd_leases AS held (address, machine, state, expires, uuid, hostname)
SELECT address, machine, state, remaining + extract(epoch FROM clock_timestamp()), uuid, hostname
FROM unnest(%s::bigint[], %s::bytea[], %s::smallint[], %s::float8[], %s::bytea[], %s::bytea[])
    AS claim (address, machine, state, remaining, uuid, hostname)
ORDER BY address
ON CONFLICT (address) DO UPDATE SET machine = excluded.machine, state = excluded.state, expires = excluded.expires,
    uuid = excluded.uuid, hostname = excluded.hostname
WHERE held.machine IN (excluded.machine, %s::bytea) OR held.expires <= extract(epoch FROM clock_timestamp())
RETURNING address
"""
SLICES = """
SELECT first, last, server, until > extract(epoch FROM clock_timestamp())
FROM pybootd_slices WHERE first <= %s AND last >= %s ORDER BY first
"""
HOLD = """
INSERT INTO pybootd_slices (first, last, server, until) VALUES (%s, %s, %s, extract(epoch FROM clock_timestamp()) + %s)
ON CONFLICT (first) DO UPDATE SET server = excluded.server, until = excluded.until
"""
ALIVE = "UPDATE pybootd_slices SET until = extract(epoch FROM clock_timestamp()) + %s WHERE server = %s"
LEAVE = "DELETE FROM pybootd_slices WHERE server = %s"

InThread = Callable[..., "Deferred[Any]"]


class Session:
    """
    A connection, and what is said over it.

    Everything here blocks, raises C{psycopg.Error} and runs in a thread, one call at a time; only L{abort} may be
    called at any time.
    """

    def __init__(self, url: str, place: str, seconds: Callable[[], float]) -> None:
        """
        @param place: how logs call the database.
        @param seconds: this host's clock.
        """
        self._url = url
        self._place = place
        self._seconds = seconds
        self._connection: psycopg.Connection[Any] | None = None
        self._server = f"{uname().nodename} {getpid()} {uuid4().hex[:12]}"
        """By this name slices are held; it is a new one for each start."""

    def connect(self) -> None:
        """Connect anew, and make the tables if there are none."""
        self.disconnect()
        connection = self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT)
        connection.execute(SESSION)
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
            if self._rows("SELECT to_regclass('pybootd_leases')") == [(None,)]:
                connection.execute(TABLES)
        self.alive()

    def disconnect(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def abort(self) -> None:
        """Whoever waits for the database's answer gets an error instead."""
        connection = self._connection
        if connection is not None:
            with suppress(psycopg.Error, OSError), socket.socket(fileno=dup(connection.fileno())) as wire:
                wire.shutdown(socket.SHUT_RDWR)

    def begin(self) -> Sequence[Lease]:
        """Connect; all leases, the oldest first."""
        self.connect()
        return self._leases("")

    def find(self, machines: Sequence[bytes]) -> Sequence[Lease]:
        """The leases of these machines, the oldest first."""
        return self._leases(OF, machines)

    def write(self, claims: Sequence[Claim]) -> Sequence[bool]:
        """Write claims down; whether each of them counts."""
        counts: list[bool] = []
        with self._connected().transaction():
            for run in runs(claims):
                now = self._seconds()
                rows = [row_of(claim.lease) for claim in run]
                addresses, keys, states, ends, uuids, hostnames = map(list, zip(*rows, strict=True))
                remaining = [end - now for end in ends]
                owner = run[0].owner or None
                taken = self._rows(CLAIM, [addresses, keys, states, remaining, uuids, hostnames, owner])
                counts += [(address,) in taken for address in addresses]
        return counts

    def reserve(self, first: int, count: int) -> Allotment:
        """Take a further slice of a pool, if one is to be had."""
        pool = range(first, first + count)
        with self._connected().transaction():
            self._rows("SELECT pg_advisory_xact_lock(%s)", [SLICE_LOCK])
            known = self._rows(SLICES, [pool[-1], pool[0]])
            own = [range(start, end + 1) for start, end, server, _ in known if server == self._server]
            ended = (range(start, end + 1) for start, end, server, held in known if not held and server != self._server)
            free = gaps(pool, [range(start, end + 1) for start, end, _, _ in known])
            more = next(chain(free, ended), None)
            if more is not None:
                self._rows(HOLD, [more[0], more[-1], self._server, HELD])
        news = own if more is None else [more]
        leases = self._leases(WITHIN, [part[0] for part in news], [part[-1] for part in news])
        slices = own if more is None else [*own, more]
        return Allotment([range(max(part.start, first), min(part.stop, pool.stop)) for part in slices], leases)

    def alive(self) -> None:
        """Give a sign of life."""
        self._rows(ALIVE, [HELD, self._server])

    def leave(self) -> None:
        """Give the slices back, and go."""
        with suppress(psycopg.Error):
            self._rows(LEAVE, [self._server])
        self.disconnect()

    def _leases(self, condition: str, *values: Any) -> Sequence[Lease]:
        rows = self._rows(f"{LEASES} {condition} ORDER BY expires", values)
        now = self._seconds()
        return tuple(readable(((*row[:3], now + row[3], *row[4:]) for row in rows), self._place))

    def _rows(self, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        cursor = self._connected().execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description is not None else []

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            raise psycopg.OperationalError("there is no connection")
        return self._connection


def runs(claims: Iterable[Claim]) -> Iterator[list[Claim]]:
    """Claims in their order, cut into what one statement can do: an address once, and one owner."""
    run: list[Claim] = []
    addresses: set[int] = set()
    for claim in claims:
        if run and (claim.lease.address in addresses or claim.owner != run[0].owner):
            yield run
            run, addresses = [], set()
        run.append(claim)
        addresses.add(claim.lease.address)
    if run:
        yield run


def gaps(pool: range, taken: Iterable[range]) -> Iterator[range]:
    """The parts of a pool that nobody holds, no longer than a slice; C{taken} is in order."""
    size, start = slice_size(len(pool)), pool.start
    for part in chain(taken, [range(pool.stop, pool.stop)]):
        if start < part.start:
            yield range(start, min(start + size, part.start))
        start = max(start, part.stop)


@implementer(ILeaseStore)
class PostgresqlStore:
    """One database for several servers."""

    log = Logger()
    name = "postgresql"
    shared = True

    def __init__(
        self,
        url: str,
        in_thread: InThread,
        clock: IReactorTime | None = None,
        seconds: Callable[[], float] = time.time,
    ) -> None:
        """
        @param url: C{postgresql://user:password@host/database}, or whatever else libpq understands after the scheme.
        @param in_thread: runs a function in a thread, with a Deferred of its result.
        @param clock: for signs of life and new attempts; a command that looks at the leases once needs neither.
        @param seconds: seconds since the epoch.
        @raise StoreError: the URL is none.
        """
        self._place = place_of(url)
        self._session = Session(url, self._place, seconds)
        self._in_thread = in_thread
        self._clock = clock
        self._turn = DeferredLock()
        self._lost = "it is not open"
        """Why nothing can be asked; empty while all is well."""
        self._told: set[str] = set()
        self._closed = False
        self._pause: Deferred[None] | None = None
        self._sign: IDelayedCall | None = None
        self._wanted: dict[bytes, list[Deferred[Sequence[Lease]]]] = {}

    def open(self) -> Deferred[Sequence[Lease]]:
        """Waits for a database that cannot be reached: it may start later than this server."""
        opened = self._turn.run(self._reach, self._session.begin)
        opened.addCallback(self._opened)
        return opened

    def commit(self, claims: Sequence[Claim]) -> Deferred[Sequence[bool]]:
        return self._ask(self._session.write, claims)

    def find(self, key: bytes) -> Deferred[Sequence[Lease]]:
        if self._lost:
            return fail(StoreAway(self._lost))
        found: Deferred[Sequence[Lease]] = Deferred()
        idle = not self._wanted
        self._wanted.setdefault(key, []).append(found)
        if idle:
            # whoever asks until it is the turn of this question is asked about in the same statement
            self._turn.run(self._find)
        return found

    def reserve(self, first: int, count: int) -> Deferred[Allotment]:
        return self._ask(self._session.reserve, first, count)

    def close(self) -> Deferred[None]:
        self._closed = True
        if self._pause is not None:
            self._pause.cancel()
        if self._sign is not None and self._sign.active():
            self._sign.cancel()
        return self._turn.run(self._guarded, self._session.leave)

    def _opened(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        self._breathe()
        return leases

    def _find(self) -> Deferred[None]:
        wanted, self._wanted = self._wanted, {}

        def told(leases: Sequence[Lease]) -> None:
            for key, waiting in wanted.items():
                for found in waiting:
                    found.callback([lease for lease in leases if lease.key == key])

        def failed(failure: Failure) -> None:
            for found in chain.from_iterable(wanted.values()):
                found.errback(failure)

        return self._answer(self._session.find, list(wanted)).addCallbacks(told, failed)

    def _ask(self, function: Callable[..., Any], *values: Any) -> Deferred[Any]:
        """Let the session do something when it is its turn; there is no waiting for a lost connection."""
        if self._lost:
            return fail(StoreAway(self._lost))
        return self._turn.run(self._answer, function, *values)

    def _answer(self, function: Callable[..., Any], *values: Any) -> Deferred[Any]:
        if self._lost:
            return fail(StoreAway(self._lost))
        return self._guarded(function, *values).addErrback(self._lose)

    def _guarded(self, function: Callable[..., Any], *values: Any) -> Deferred[Any]:
        """In the thread, which is woken with an error when the database does not answer in time."""
        if self._clock is None:
            return self._in_thread(function, *values)
        guard = self._clock.callLater(ANSWER, self._session.abort)

        def answered(result: Any) -> Any:
            if guard.active():
                guard.cancel()
            return result

        return self._in_thread(function, *values).addBoth(answered)

    def _lose(self, failure: Failure) -> None:
        """The connection is of no use any more: another one is made."""
        failure.trap(psycopg.Error)
        problem = self._tell(failure.value)
        if self._clock is not None and not self._closed:
            self._turn.run(self._reach, self._session.connect).addErrback(_in_vain)
        raise problem

    @inlineCallbacks
    def _reach(self, function: Callable[[], Any]) -> Generator[Deferred[Any], Any, Any]:
        """
        Connect, however long it takes.

        @raise StoreError: (as a Failure) it was closed meanwhile, or there is one attempt only.
        """
        result: Any = None
        for pause in chain(PAUSES, repeat(PAUSES[-1])):
            try:
                result = yield self._guarded(function)
                break
            except psycopg.Error as error:
                problem = self._tell(error)
                if self._clock is None or self._closed:
                    raise problem from None
                self._pause = deferLater(self._clock, pause)
                yield self._pause
        self._lost = ""
        self._told.clear()
        self.log.info("connected to {place}", place=self._place)
        return result

    def _tell(self, error: BaseException | None) -> StoreError:
        """What is wrong with the database, for those who ask now, and once for the log; what comes on top is a note."""
        problem = self._lost = f"{self._place}: {' '.join(str(error).split())}"
        if not self._told and not self._closed:
            self.log.error("{problem}; no new lease can be given, it is tried again until it works", problem=problem)
        elif problem not in self._told and len(self._told) < REASONS:
            self.log.info("{problem}", problem=problem)
        self._told.add(problem)
        return StoreAway(problem)

    def _breathe(self) -> None:
        """Now and then a sign of life."""
        if self._clock is not None and not self._closed:
            self._ask(self._session.alive).addErrback(lambda failure: failure.trap(StoreError))
            self._sign = self._clock.callLater(HELD / 4, self._breathe)


def _in_vain(failure: Failure) -> None:
    """Nobody waits for the connection any more."""
    failure.trap(CancelledError, StoreError)


def place_of(url: str) -> str:
    """
    The database, as it may be shown: without user and password.

    @raise StoreError: the URL is none.
    """
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        raise StoreError("this is no PostgreSQL address; write postgresql://user@host/database") from None
    return f"postgresql://{parts.get('host', '')}/{parts.get('dbname', '')}"
