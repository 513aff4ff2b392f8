"""
Time that passes and never jumps, whatever becomes of the host's clock.

A host without a battery for its clock wakes up in another year, and is put right while machines boot already; others
are put wrong.  Twisted's reactor counts in the host's clock: a timer of a millisecond would wait for years.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


elapsed: Callable[[], float] = partial(time.clock_gettime, _CLOCK)
"""Seconds from whenever; on Linux those in which the host slept count too."""


class Steady:
    """Seconds since the epoch, as the host's clock had it at the beginning, and onward from there."""

    def __init__(self, wall: Callable[[], float] = time.time, elapsed: Callable[[], float] = elapsed) -> None:
        """
        @param wall: the host's clock, seconds since the epoch.
        @param elapsed: seconds from whenever, which never jump.
        """
        self._wall = wall
        self._elapsed = elapsed
        self._base = wall() - elapsed()

    def seconds(self) -> float:
        """Now."""
        return self._base + self._elapsed()

    @property
    def step(self) -> float:
        """How many seconds the host's clock is ahead of this one; negative: behind."""
        return self._wall() - self.seconds()

    def adopt(self) -> None:
        """Believe the host's clock; whoever kept moments of this one has to move them by L{step}."""
        self._base = self._wall() - self._elapsed()


def steady(reactor: Any) -> None:
    """Timers of this reactor run as time passes; to be called before it has any."""
    reactor.seconds = Steady().seconds
