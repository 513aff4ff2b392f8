"""
How much of a window leaves at once.

A whole window in one go is what a good network likes best.  Where a switch port, or a client's own buffer, holds less
than that, the end of each window is lost: nothing comes back then, and every window costs a timeout.  A window cannot
be made smaller afterwards (RFC 7440 4: the client ACKs when it has as many blocks as were agreed), but it can leave in
several bursts.  A gap within a window costs next to nothing, for the client reports it at once, and a packet that came
late looks the same: only silence counts.
"""

from __future__ import annotations

PAUSE = 0.001
"""Seconds between two bursts; at a gigabit some eighty full packets are through in that time."""

FEWEST = 8
"""Blocks in a burst, at least."""

ROW = 4
"""Windows in a row that came whole, until the burst grows again."""


class Pace:
    """
    The pace of one transfer.

    @ivar burst: how many blocks may leave at once.
    """

    __slots__ = ("_row", "_widest", "burst")

    def __init__(self, windowsize: int) -> None:
        self.burst = self._widest = windowsize
        self._row = 0

    @property
    def slow(self) -> bool:
        """Whether windows leave in parts."""
        return self.burst < self._widest

    def whole(self) -> None:
        """All of a window has arrived."""
        self._row += 1
        if self._row >= ROW and self.slow:
            self.burst = min(2 * self.burst, self._widest)
            self._row = 0

    def gap(self) -> None:
        """The client says that a part is missing."""
        self._row = 0

    def silence(self) -> None:
        """Nothing came back: the end of a window is lost, or all of it."""
        self.burst = min(self._widest, max(FEWEST, self.burst // 2))
        self._row = 0
