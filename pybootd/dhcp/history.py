"""
What machines made of our answers, for a while: the forms that they ignored, the addresses that they declined, the
loader that they load again and again.

An identical DISCOVER that comes again means that the answer, where there was one, was not understood: the next one
takes the next form of the quirk table, and the form that was taken at last is tried first with the next machine of the
same make.

Pure: time is an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

from attrs import define

from pybootd.dhcp.request import Kind, Request
from pybootd.leases.table import REST_SECONDS

PATIENCE = 60.0
"""Seconds within which a DISCOVER counts as the same question again."""

ECHO = 1.0
"""Seconds; the same DISCOVER sooner than this is a copy that came by another way, or a lost one sent again."""

LOOP = 30.0
"""Seconds from one load of a file to the next, at most, for it to count as a loop."""

K = TypeVar("K")
V = TypeVar("V")

Make = tuple[bytes, bytes]
"""The first half of the hardware address, and option 60: machines alike."""


@define
class Asked:
    """A DISCOVER of a machine that boots."""

    make: Make
    when: float
    attempt: int
    answered: bool = False
    """Whoever was not answered has not ignored anything."""


@define
class Loaded:
    """What a machine was told to load, and how often in a row."""

    told: str
    file: str = ""
    when: float = 0.0
    times: int = 0


class History:
    """Bounded: it knows the latest machines, and the latest makes."""

    def __init__(self, limit: int = 4096) -> None:
        """@param limit: how many of each."""
        self._limit = limit
        self._asked: OrderedDict[bytes, Asked] = OrderedDict()
        self._taken: OrderedDict[Make, int] = OrderedDict()
        self._loaded: OrderedDict[bytes, Loaded] = OrderedDict()
        self._declined: OrderedDict[bytes, tuple[float, int]] = OrderedDict()
        """Since when, and how many."""

    def forget(self) -> None:
        """Nothing of before counts any more."""
        for entries in (self._asked, self._taken, self._loaded, self._declined):
            entries.clear()

    def attempt(self, key: bytes, request: Request, now: float) -> int:
        """A client that boots asks: how many forms of answer it has ignored, or its make before it."""
        make = (key[:3], request.vendor_class)
        asked, learnt = self._asked.get(key), self._taken.get(make, 0)
        known = asked is not None and asked.make == make and now - asked.when < PATIENCE
        if request.kind is not Kind.DISCOVER:
            if asked is None or not known:
                return learnt
            del self._asked[key]
            if asked.attempt != learnt:
                self._keep(self._taken, make, asked.attempt)
            return asked.attempt
        if asked is None or not known:
            asked = Asked(make, now, learnt)
        elif now - asked.when >= ECHO:
            asked.when, asked.attempt, asked.answered = now, asked.attempt + asked.answered, False
        self._keep(self._asked, key, asked)
        return asked.attempt

    def answered(self, key: bytes) -> None:
        """The DISCOVER of a machine was answered."""
        asked = self._asked.get(key)
        if asked is not None:
            asked.answered = True

    def declines(self, key: bytes, now: float) -> int:
        """How many addresses a machine has declined within an hour."""
        since, times = self._declined.get(key, (0.0, 0))
        return times if now - since < REST_SECONDS else 0

    def declined(self, key: bytes, now: float) -> None:
        """It declined one more."""
        times = self.declines(key, now)
        self._keep(self._declined, key, (self._declined[key][0] if times else now, times + 1))

    def told(self, key: bytes, file: str) -> None:
        """A machine was told to load a file."""
        loaded = self._loaded.get(key) or Loaded(file)
        loaded.told = file
        self._keep(self._loaded, key, loaded)

    def took(self, key: bytes, now: float) -> None:
        """It took what it was told: it goes to load it."""
        loaded = self._loaded.get(key)
        if loaded is None:
            return
        in_a_row = loaded.file == loaded.told and now - loaded.when <= LOOP
        loaded.file, loaded.when, loaded.times = loaded.told, now, loaded.times + 1 if in_a_row else 1

    def loads(self, key: bytes, now: float) -> tuple[str, int]:
        """What it loaded the last time, and how often in a row."""
        loaded = self._loaded.get(key)
        if loaded is None or now - loaded.when > LOOP:
            return "", 0
        return loaded.file, loaded.times

    def _keep(self, entries: OrderedDict[K, V], key: K, value: V) -> None:
        """Put the entry last; the first makes room."""
        entries[key] = value
        entries.move_to_end(key)
        if len(entries) > self._limit:
            entries.popitem(last=False)
