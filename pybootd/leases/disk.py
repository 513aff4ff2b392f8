"""
Whether a disk is quick enough to be waited for.

To write in a thread keeps the reactor free, but costs a lease some 15 us, for the thread and the reactor wait for one
another; nor can a thread tell how long the disk took, for that wait is in it.  So a quick disk is written to at once,
and one that is slow is tried from time to time.

Pure: times are arguments.
"""

from __future__ import annotations

SLOW = 0.004
"""Seconds that a sync takes of a disk that is not waited for, so that TFTP and HTTP go on meanwhile."""

FAR = 10
"""How many times as long shows it at once; else two in a row do, for now and then SQLite has more to write."""

PAUSE = 5.0
"""Seconds, at least, until a slow disk is tried again."""

SHARE = 100
"""It is waited for a hundredth of the time, at most."""


class Disk:
    """What is known of it."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._again = 0.0

    def slow(self, now: float) -> bool:
        """Whether the next sync is one for a thread."""
        return self._in_a_row > 1 and now < self._again

    def took(self, seconds: float, now: float, in_thread: bool) -> None:
        """A sync has taken so long, the wait for the reactor included where it was a thread's."""
        far = seconds > SLOW * FAR
        if far or (seconds > SLOW and not in_thread):
            self._in_a_row = 2 if far else self._in_a_row + 1
            self._again = now + max(PAUSE, SHARE * seconds)
        elif not in_thread:
            self._in_a_row = 0
