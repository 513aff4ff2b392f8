"""So many of a kind in a while, and no more: for log lines that a client could provoke without end."""

from __future__ import annotations

from collections.abc import Callable, Hashable


class Throttle:
    """Admits each key so often within each period."""

    def __init__(self, clock: Callable[[], float], often: int = 5, period: float = 60.0, keys: int = 1024) -> None:
        """
        @param clock: seconds, from whenever.
        @param keys: how many keys are told apart in one period; all others share one count.
        """
        self._clock = clock
        self._often = often
        self._period = period
        self._keys = keys
        self._began = clock()
        self._counts: dict[Hashable, int] = {}

    def admits(self, key: Hashable) -> bool:
        """Whether one more of this kind may pass now."""
        now = self._clock()
        if now - self._began >= self._period:
            self._began = now
            self._counts.clear()
        if key not in self._counts and len(self._counts) >= self._keys:
            key = None
        self._counts[key] = self._counts.get(key, 0) + 1
        return self._counts[key] <= self._often
