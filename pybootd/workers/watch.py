"""
Whether one worker still answers.

Time is told by this timer's own rounds, not by a clock: where the whole server stood still, as with a machine that was
suspended, the worker gets its time again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

INTERVAL = 10.0
"""Seconds from one round to the next; a worker that has answered is asked again."""

ANSWERING = 30.0
"""Seconds that a worker has for an answer: one that only works hard needs a few milliseconds."""

STARTING = 300.0
"""Seconds until it must have said that it is ready: its first modules may come from a slow disk."""


class Watch:
    """The rounds of one process, from its start to its end."""

    def __init__(self, reactor: Any, ask: Callable[[], None], hung: Callable[[float], None]) -> None:
        """
        @param ask: asks the process for an answer.
        @param hung: is called once, with the seconds without an answer; then the rounds have ended.
        """
        self._reactor = reactor
        self._ask = ask
        self._hung = hung
        self._timer: Any = None
        self._left = 0.0
        self._allowed = 0.0

    def start(self) -> None:
        """It was started, and is to say so by itself."""
        self._expect(STARTING)
        self._timer = self._reactor.callLater(INTERVAL, self._round)

    def answered(self) -> None:
        """It is there."""
        self._allowed = 0.0

    def stop(self) -> None:
        """Nobody is to answer any more.  Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expect(self, seconds: float) -> None:
        self._allowed = self._left = seconds

    def _round(self) -> None:
        self._timer = None
        if not self._allowed:
            self._expect(ANSWERING)
            self._ask()
        else:
            self._left -= INTERVAL
            if self._left <= 0:
                self._hung(self._allowed)
                return
        self._timer = self._reactor.callLater(INTERVAL, self._round)
