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
        """Whether one more of this kind may pass now; it counts."""
        key = self._counted(key)
        count = self._counts[key] = self._counts.get(key, 0) + 1
        return count <= self._often

    def spent(self, key: Hashable) -> bool:
        """Whether none of this kind may pass any more in this period; asking does not count."""
        return self._counts.get(self._counted(key), 0) >= self._often

    def _counted(self, key: Hashable) -> Hashable:
        """What a key is counted under now; a period that has ended makes room."""
        now = self._clock()
        if now - self._began >= self._period:
            self._began = now
            self._counts.clear()
        return None if key not in self._counts and len(self._counts) >= self._keys else key
