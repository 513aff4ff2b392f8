"""A lease as a row of a table, and back: what was damaged meanwhile is no lease."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from twisted.logger import Logger

from pybootd.leases.lease import Lease, State

STATES = {int(state): state for state in State}
LONGEST = 255
"""Bytes of a key or an UUID; more is in no packet."""

log = Logger()


def row_of(lease: Lease) -> tuple[int, bytes, int, float, bytes, bytes]:
    """A lease as it is written."""
    hostname = lease.hostname.encode("utf-8", "replace")
    return lease.address, lease.key, int(lease.state), lease.expires, lease.uuid, hostname


def lease_of(row: Sequence[Any]) -> Lease:
    """
    A lease as it was read.

    @raise ValueError: it is none.
    """
    address, key, state, expires, uuid, hostname = row
    sound = (
        isinstance(address, int)
        and 0 < address < 1 << 32
        and isinstance(key, bytes)
        and len(key) <= LONGEST
        and state in STATES
        and isinstance(expires, float)
        and expires == expires
        and isinstance(uuid, bytes)
        and len(uuid) <= LONGEST
        and isinstance(hostname, bytes)
    )
    if not sound:
        raise ValueError(f"{row!r:.200}")
    return Lease(address, key, STATES[state], expires, uuid, hostname.decode("utf-8", "replace"))


def readable(rows: Iterable[Sequence[Any]], place: object) -> Iterator[Lease]:
    """The leases among these rows of a store; one that is none is reported and left out."""
    for row in rows:
        try:
            yield lease_of(row)
        except ValueError as error:
            log.error("{place}: a damaged record is left out: {error}", place=place, error=error)
