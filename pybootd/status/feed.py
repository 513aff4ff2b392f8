"""
The live stream: what changed, to each reader of C{/api/events}, as Server-Sent Events (WHATWG HTML, 9.2).

A reader of machines is sent whole rows, a few times a second, each changed machine once: however much happens
meanwhile, what waits for a slow reader is a set of names.  A reader of events has a queue, and is dropped when that is
full.  Whoever takes nothing for a while is dropped too.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from pybootd.config import LimitsConfig
from pybootd.events import Event, plain
from pybootd.status.diagnosis import Where, diagnose, state_of
from pybootd.status.timeline import Record, Timeline
from pybootd.status.views import row

PACE = 0.25
"""Seconds between two batches of rows."""

TOGETHER = 100
"""Rows in a batch."""

QUEUE = 2000
"""Events that may wait for a reader."""

PATIENCE = 20.0
"""Seconds that a reader may take nothing."""

BEAT = 15.0
"""Seconds after which a word goes out though nothing happened, so that a dead connection is noticed."""

LATEST = 2000
"""Machines whose state is looked at as time goes by, the latest ones; and those that a new reader is sent."""


@implementer(IPushProducer)
class Reader:
    """One stream.  What it is written to is a transport's consumer: it pauses who writes too much."""

    def __init__(
        self, write: Callable[[bytes], object], close: Callable[[], object], now: float, *, rows: bool
    ) -> None:
        """
        @param close: breaks the connection off.
        @param rows: it reads machines, else events.
        """
        self.rows = rows
        self.changed: dict[str, None] = {}
        self.events: deque[bytes] = deque()
        self.paused = False
        self.taken_at = now
        """When it could be written to last."""
        self._write = write
        self.close = close

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.paused = True

    def write(self, data: bytes) -> None:
        """So much at once; whether it may go on says C{paused}."""
        self._write(data)


class Feed:
    """Keeps the timeline, and tells readers."""

    def __init__(self, timeline: Timeline, clock: Any, time: Callable[[], float], where: Where) -> None:
        """
        @param clock: for timers.
        @param time: seconds since the epoch.
        """
        self.timeline = timeline
        self.time = time
        self.where = where
        self.limit = LimitsConfig().status_readers
        """Streams at once; those that are open stay, where it becomes less."""
        self._clock = clock
        self._readers: list[Reader] = []
        self._call: Any = None
        self._beat_at = 0.0
        self._number = 0
        self._told: dict[str, tuple[str, str]] = {}
        self._looked_at = 0.0

    def __len__(self) -> int:
        return len(self._readers)

    # what happens

    def notify(self, event: Event) -> None:
        """An event of the bus."""
        record = self.timeline.apply(event)
        if not self._readers:
            return
        self._number += 1
        text: bytes | None = None
        for reader in tuple(self._readers):
            if reader.rows:
                if record is not None:
                    reader.changed[record.key] = None
            elif len(reader.events) >= QUEUE:
                self._drop(reader)
            else:
                text = text or self._event(event)
                reader.events.append(text)

    def _event(self, event: Event) -> bytes:
        fields = plain(event)
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self._number, str(fields["event"]).encode(), encoded(fields))

    # readers

    def open(self, write: Callable[[bytes], object], close: Callable[[], object], *, rows: bool) -> Reader | None:
        """
        One more reader; those of machines are sent the latest ones first.

        @return: None: there are too many.
        """
        if len(self._readers) >= self.limit:
            return None
        reader = Reader(write, close, self._clock.seconds(), rows=rows)
        if rows:
            reader.changed = {record.key: None for record in islice(self.timeline, LATEST)}
        self._readers.append(reader)
        reader.write(b"retry: 2000\n\n")
        if self._call is None:
            self._beat_at = self._clock.seconds() + BEAT
            self._call = self._clock.callLater(0, self._flush)
        return reader

    def leave(self, reader: Reader) -> None:
        """Its connection is gone."""
        if reader in self._readers:
            self._readers.remove(reader)
        if not self._readers and self._call is not None:
            self._call.cancel()
            self._call = None
            self._told.clear()

    def stop(self) -> None:
        """Everybody is sent away."""
        for reader in tuple(self._readers):
            self._drop(reader)

    def _drop(self, reader: Reader) -> None:
        self.leave(reader)
        reader.close()

    # telling

    def _flush(self) -> None:
        now, seconds = self.time(), self._clock.seconds()
        self._call = self._clock.callLater(PACE, self._flush)
        if seconds - self._looked_at >= 8 * PACE:
            self._looked_at = seconds
            self._look(now)
        beats = seconds >= self._beat_at
        if beats:
            self._beat_at = seconds + BEAT
        made: dict[str, bytes] = {}
        for reader in tuple(self._readers):
            if reader.paused:
                if seconds - reader.taken_at >= PATIENCE:
                    self._drop(reader)
                continue
            reader.taken_at = seconds
            if reader.rows:
                self._tell_rows(reader, now, made)
            while reader.events and not reader.paused:
                reader.write(reader.events.popleft())
            if beats and not reader.paused:
                reader.write(b": \n\n")

    def _tell_rows(self, reader: Reader, now: float, made: dict[str, bytes]) -> None:
        if not reader.changed:
            return
        keys = list(islice(reader.changed, TOGETHER))
        rows = []
        for key in keys:
            del reader.changed[key]
            if key not in made:
                record = self.timeline.get(key)
                if record is None:
                    continue
                made[key] = encoded(row(record, now, self.where))
            rows.append(made[key])
        head = b'{"time":%s,"total":%d,"machines":[' % (encoded(now), len(self.timeline))
        reader.write(b"event: machines\ndata: " + head + b",".join(rows) + b"]}\n\n")

    def _look(self, now: float) -> None:
        """As time goes by, a machine's state changes though nothing happens: it fell silent."""
        readers = [reader for reader in self._readers if reader.rows]
        for record in self._latest() if readers else ():
            found = diagnose(record, now, self.where)
            state = state_of(record, now, found), found.kind if found is not None else ""
            if self._told.get(record.key) != state:
                if record.key in self._told:
                    for reader in readers:
                        reader.changed[record.key] = None
                self._told[record.key] = state
        if len(self._told) > 2 * LATEST:
            self._told = {record.key: self._told[record.key] for record in self._latest() if record.key in self._told}

    def _latest(self) -> Iterable[Record]:
        return islice(self.timeline, LATEST)


def encoded(value: object) -> bytes:
    """As JSON on one line."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
