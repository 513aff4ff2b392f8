"""What there is to know of the worker processes at one moment, as values."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen


@frozen
class Place:
    """One worker: a process now, another one after its death."""

    index: int
    """As in the log."""

    ready: bool
    """Whether it takes transfers."""

    transfers: int
    """Under way."""

    sent: int
    """Bytes so far, those of its earlier processes included."""


@frozen
class Crew:
    """All workers of one protocol."""

    protocol: str
    """C{tftp} or C{http}."""

    count: int
    """How many there are to be."""

    restarts: int
    """How often one had to be started again."""

    places: Sequence[Place]
    """Those that leave with their last transfer included."""
