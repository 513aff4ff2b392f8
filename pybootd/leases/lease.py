"""
One lease: an address that a machine has, and until when.

Values only; the table that indexes them is L{pybootd.leases.table}.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from pybootd.plain import plain
from pybootd.value import value


@plain
class State(IntEnum):
    """What a record says.  The numbers are written to disk: never renumber."""

    BOUND = 1
    """The machine has the address (BOOTP machines: for ever)."""
    RELEASED = 2
    """It gave it back; it gets the same one again while nobody else needs it."""
    DECLINED = 3
    """Somebody else answers at this address: it rests until C{expires}."""


@value
class Lease:
    """One record of the lease store.  The latest record of an address counts."""

    address: int
    """IPv4, as an integer."""

    key: bytes
    """Whose it is: the hardware address (RFC 2131 calls it chaddr), which ROM, loader and
    operating system of one machine share; empty for an address that only rests."""

    state: State
    expires: float
    """Seconds since the epoch; infinity for BOOTP."""

    uuid: bytes = b""
    """Option 97 without its type byte, as learnt in the boot phase: 16 bytes or none."""

    hostname: str = ""


@value
class Claim:
    """A change to be written down: this lease is to hold from now on."""

    lease: Lease
    fresh: bool
    """The address was not this machine's before."""

    owner: bytes = b""
    """Whose the address was, where the lease does not say it: the machine that declines it."""


@value
class Allotment:
    """The addresses of a pool that this server, of all that share the store, may offer to new machines."""

    slices: Sequence[range]
    """All of them, those that it was told of before included."""

    leases: Sequence[Lease] = ()
    """What the store knows of addresses in them, and this server perhaps does not; the oldest first."""


def slice_size(count: int) -> int:
    """How many addresses of a pool of C{count} one of several servers takes hold of at a time."""
    return max(1, min(256, count // 8))
