"""The live stream: who is sent what, and who is left behind."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pybootd.status.feed import BEAT, PACE, PATIENCE, QUEUE, TOGETHER, Feed, Reader
from pybootd.status.timeline import Timeline
from tests.support.boots import MAC, Story


class FeedCase(SynchronousTestCase):
    """A feed, and readers that keep what they are sent."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.feed = Feed(Timeline(), self.clock, self.clock.seconds, lambda section, option: f"[{section}] {option}")
        self.story = Story(self.feed.notify)
        self.sent: dict[Reader, list[bytes]] = {}
        self.closed: list[object] = []
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.addCleanup(self.feed.stop)

    def reader(self, *, rows: bool = True) -> Reader:
        """One more reader, who has been sent what is sent at first."""
        sent: list[bytes] = []
        reader = self.feed.open(sent.append, lambda: self.closed.append(reader), rows=rows)
        assert reader is not None
        self.sent[reader] = sent
        self.clock.advance(0)
        return reader

    def heard(self, reader: Reader) -> list[tuple[str, Any]]:
        """The events that a reader was sent since, with their data."""
        text = b"".join(self.sent[reader]).decode()
        self.sent[reader].clear()
        found = []
        for part in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in part.splitlines() if not line.startswith(":"))
            if "data" in fields:
                found.append((fields["event"], json.loads(fields["data"])))
        return found

    def rows(self, reader: Reader) -> list[str]:
        """The machines whose rows it was sent since."""
        return [row["id"] for _, data in self.heard(reader) for row in data["machines"]]


class RowTests(FeedCase):
    """Readers of machines."""

    def test_at_first(self) -> None:
        """All machines at first."""
        self.story.boot()
        self.assertEqual(self.rows(self.reader()), [MAC])

    def test_changes(self) -> None:
        """Whatever changed since, once."""
        reader = self.reader()
        self.story.boot()
        self.clock.advance(PACE)
        ((kind, data),) = self.heard(reader)
        self.assertEqual(
            (kind, data["total"], [row["stage"] for row in data["machines"]]), ("machines", 1, ["running"])
        )
        self.clock.advance(PACE)
        self.assertEqual(self.heard(reader), [])

    def test_many(self) -> None:
        """Many machines go in batches, the latest one first."""
        for number in range(TOGETHER + 5):
            Story(self.feed.notify, f"52:54:00:00:00:{number:02x}").seen()
        reader = self.reader()
        first = self.rows(reader)
        self.assertEqual((len(first), first[0][-2:]), (TOGETHER, f"{TOGETHER + 4:02x}"))
        self.clock.advance(PACE)
        self.assertEqual(len(self.rows(reader)), 5)

    def test_time_goes_by(self) -> None:
        """A machine that falls silent changes, though nothing happens."""
        reader = self.reader()
        self.story.now = self.clock.seconds()
        self.story.begun("vmlinuz")
        self.story.progress(100)
        self.clock.pump([PACE] * 10)
        self.assertEqual(self.heard(reader)[-1][1]["machines"][0]["diagnosis"], None)
        self.clock.pump([PACE] * 80)
        self.assertEqual(self.heard(reader)[-1][1]["machines"][0]["diagnosis"]["kind"], "silent")

    def test_slow_reader(self) -> None:
        """What waits for a reader that takes nothing is names, each once; it is sent the latest."""
        reader = self.reader()
        reader.pauseProducing()
        for _ in range(1000):
            self.story.seen()
            self.clock.advance(0.001)
        self.assertEqual(list(reader.changed), [MAC])
        self.assertEqual(self.heard(reader), [])
        reader.resumeProducing()
        self.clock.advance(PACE)
        self.assertEqual(self.rows(reader), [MAC])

    def test_dead_reader(self) -> None:
        """A reader that takes nothing for a while is dropped, the others go on."""
        dead, other = self.reader(), self.reader()
        dead.pauseProducing()
        self.clock.pump([PACE] * int(PATIENCE / PACE + 2))
        self.assertEqual(self.closed, [dead])
        self.story.seen()
        self.clock.advance(PACE)
        self.assertEqual(self.rows(other), [MAC])

    def test_nobody(self) -> None:
        """Without readers no timer runs."""
        reader = self.reader()
        self.feed.leave(reader)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.feed.leave(reader)

    def test_beat(self) -> None:
        """A word goes out now and then, so that a broken connection is noticed."""
        reader = self.reader()
        self.sent[reader].clear()
        self.clock.pump([PACE] * int(BEAT / PACE + 1))
        self.assertIn(b": \n\n", self.sent[reader])

    def test_too_many(self) -> None:
        """So many readers, and no more."""
        self.feed.limit = 3
        for _ in range(3):
            self.reader()
        self.assertIsNone(self.feed.open(lambda data: None, lambda: None, rows=True))


class EventTests(FeedCase):
    """Readers of events."""

    def test_events(self) -> None:
        """Each event, in its order, by its name."""
        reader = self.reader(rows=False)
        self.story.addressed()
        self.clock.advance(PACE)
        heard = self.heard(reader)
        self.assertEqual([kind for kind, _ in heard], ["seen", "offered", "seen", "leased"])
        self.assertEqual(heard[1][1]["boot_file"], "pxelinux.0")

    def test_forged_lines(self) -> None:
        """A client's name cannot forge an event."""
        reader = self.reader(rows=False)
        self.story.begun("x\n\nevent: leased\ndata: {}\n\n")
        self.clock.advance(PACE)
        self.assertEqual([kind for kind, _ in self.heard(reader)], ["file_asked", "transfer_begun"])

    def test_lone_surrogate(self) -> None:
        """Nor can a name that is no UTF-8 break the stream."""
        reader = self.reader(rows=False)
        self.story.begun("x\udcff")
        self.clock.advance(PACE)
        self.assertEqual(len(self.heard(reader)), 2)

    def test_full_queue(self) -> None:
        """A reader whose queue is full is dropped."""
        slow, other = self.reader(rows=False), self.reader(rows=False)
        slow.pauseProducing()
        for number in range(QUEUE + 1):
            self.story.seen()
            if not number % 100:
                self.clock.advance(PACE)
        self.assertEqual(self.closed, [slow])
        self.assertEqual(len(self.feed), 1)
        self.assertLess(len(other.events), QUEUE)
