"""Machines in a terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pybootd.machine import Firmware
from pybootd.status import terminal
from pybootd.status.terminal import Board, size
from pybootd.status.terminal import Story as Lines
from pybootd.status.timeline import Timeline
from pybootd.status.views import row
from tests.support.boots import Story

OTHER = "52:54:00:00:00:07"


def row_of(name: str, seen: float, **fields: Any) -> dict[str, Any]:
    """A row as short as can be."""
    return {"id": name, "last_seen": seen, "state": "booting", **fields}


@contextmanager
def utc() -> Iterator[None]:
    """Local time is UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()


class TerminalTestCase(SynchronousTestCase):
    """A machine whose rows are those of the real timeline."""

    def setUp(self) -> None:
        self.timeline = Timeline()
        self.story = Story(self.timeline.apply)

    def rows(self) -> list[Any]:
        """All machines now."""
        now = self.story.now
        return [row(record, now, lambda section, option: f"x.ini:7: [{section}] {option}") for record in self.timeline]


class BoardTests(TerminalTestCase):
    """The table."""

    def lines(self, width: int = 200, height: int = 20) -> list[str]:
        """The table of all machines now."""
        board = Board()
        board.update(self.rows())
        return board.lines(width, height, colour=False)

    def test_boot(self) -> None:
        """Who, where, what, how far; then the transfer with its bar, rate and time."""
        self.story.addressed()
        head, line = self.lines()
        self.assertEqual(head, "1 machine: 1 booting")
        self.assertRegex(line, r"^52:54:00:12:34:56  .{12}  10\.77\.0\.100 {6}PXE bios {12}leased$")
        self.story.begun("pxelinux.0", 1000)
        self.story.progress(455)
        self.assertTrue(
            self.lines()[1].endswith("leased     pxelinux.0 [####......]  46% 455 B/s 1 s left"), self.lines()
        )
        self.story.ended("pxelinux.0")
        self.assertTrue(self.lines()[1].endswith("loader     pxelinux.0 1000 B"), self.lines())

    def test_narrow(self) -> None:
        """A narrow terminal leaves out what matters least."""
        self.story.addressed()
        self.story.fetched("pxelinux.0")
        self.assertRegex(
            self.lines(100)[1], r"^52:54:00:12:34:56  .{12}  10\.77\.0\.100 {6}loader     pxelinux\.0 1000 B$"
        )
        self.assertEqual(self.lines(80)[1], "52:54:00:12:34:56  10.77.0.100      loader     pxelinux.0 1000 B")

    def test_unknown_size(self) -> None:
        """A transfer of which nobody knows how long it is."""
        self.story.addressed()
        self.story.begun("pxelinux.0", None)
        self.story.progress(20_000)
        self.assertTrue(self.lines()[1].endswith("pxelinux.0 20 kB 20 kB/s"), self.lines())

    def test_stopped(self) -> None:
        """Why it does not boot, and the line to look at."""
        self.story.seen()
        self.story.ignored("not in [mac]", "x.ini:3: [mac]")
        head, line = self.lines()
        self.assertEqual(head, "1 machine: 1 stopped")
        self.assertTrue(line.endswith("Its DISCOVER is left unanswered: not in [mac]. (x.ini:3: [mac])"), line)

    def test_long_reason(self) -> None:
        """A reason that does not fit into the row stands below it; where there is no room, its beginning has to do."""
        self.story.seen()
        self.story.ignored("not in [mac]; add 52-54-00-12-34-56 = enable to serve it", "x.ini:3: [mac]")
        row, *reason = self.lines(80)[1:]
        self.assertEqual(row, "52:54:00:12:34:56                   asked")
        self.assertEqual(
            reason,
            [
                "    Its DISCOVER is left unanswered: not in [mac]; add 52-54-00-12-34-56 =",
                "    enable to serve it. (x.ini:3: [mac])",
            ],
        )
        (row,) = self.lines(80, 2)[1:]
        self.assertEqual(row, "52:54:00:12:34:56                   asked      Its DISCOVER is left unanswered: ")

    def test_crowded(self) -> None:
        """The reasons of a crowd take a third of the terminal: those on top."""
        board = Board()
        matter = {"sentence": "x " * 60, "setting": ""}
        board.update([row_of(f"m{number:02}", float(number), diagnosis=matter) for number in range(50)])
        lines = board.lines(80, 22, colour=False)
        self.assertEqual(len(lines), 22)
        self.assertEqual([line[:3] for line in lines[1:5]], ["m49", "   ", "   ", "m48"])
        self.assertEqual(sum(line.startswith(" ") for line in lines), 6)

    def test_system(self) -> None:
        """Its system is up."""
        self.story.addressed()
        self.story.fetched("vmlinuz")
        self.story.seen(Firmware.SYSTEM)
        self.story.leased(boot=False, hostname="node1")
        head, line = self.lines()
        self.assertEqual(head, "1 machine: 1 running")
        self.assertIn("  node1         ", line)
        self.assertIn("  system up  ", line)

    def test_order(self) -> None:
        """Who was heard of last is on top; what does not fit is left out."""
        board = Board()
        board.update([row_of("a", 3.0), row_of("b", 2.0), row_of("c", 1.0)])
        board.update([row_of("c", 4.0)])
        self.assertEqual([line[:1] for line in board.lines(80, 10, colour=False)[1:]], ["c", "a", "b"])
        self.assertEqual([line[:1] for line in board.lines(80, 3, colour=False)[1:]], ["c", "a"])
        self.assertTrue(all(len(line) <= 30 for line in board.lines(30, 10, colour=False)))
        self.assertEqual(len(board.lines(80, 0)), 1)

    def test_colours(self) -> None:
        """By the state; a row ends in no colour."""
        board = Board()
        board.update([row_of("a", 1.0, state="stopped")])
        self.assertTrue(board.lines(80, 9)[1].startswith("\x1b[31ma"), board.lines(80, 9))
        self.assertTrue(board.lines(80, 9)[1].endswith("\x1b[0m"))

    def test_hostile(self) -> None:
        """Another server may send anything: no sequence that steers the terminal comes through, nothing breaks."""
        board = Board()
        bad = "\x1b[2J\n"
        board.update(
            [
                row_of(bad, 1.0, address=bad, firmware=bad, state=bad, diagnosis={"sentence": bad, "setting": [bad]}),
                {
                    "id": None,
                    "last_seen": "x",
                    "transfers": [1, {"name": bad, "sent": "x", "state": "running", "size": {}}],
                },
                {"stages": 3, "transfers": {}, "diagnosis": 7},
            ]
        )
        for line in board.lines(500, 10, colour=False):
            self.assertTrue(line.isprintable(), line)

    def test_bounded(self) -> None:
        """The one unheard for longest makes room."""
        self.patch(terminal, "MACHINES", 2)
        board = Board()
        board.update([row_of("a", 1.0), row_of("b", 2.0), row_of("c", 3.0)])
        self.assertEqual([line[:1] for line in board.lines(80, 10, colour=False)[1:]], ["c", "b"])

    def test_size(self) -> None:
        """Bytes for people."""
        self.assertEqual([size(count) for count in (0, 9999, 10_000, 1_500_000)], ["0 B", "9999 B", "10 kB", "1.5 MB"])


class LinesTests(TerminalTestCase):
    """The lines of news."""

    def setUp(self) -> None:
        super().setUp()
        self.lines = Lines()

    def news(self) -> list[str]:
        """What is new, without the machine."""
        with utc():
            return [line.replace("  52:54:00:12:34:56", "") for line in self.lines.news(self.rows(), self.story.now)]

    def test_boot(self) -> None:
        """Each step once, with the time at which it happened."""
        self.story.addressed()
        self.assertEqual(
            self.news(),
            ["00:16:41  asks, PXE bios, on eth1", "00:16:42  is offered pxelinux.0", "00:16:44  has 10.77.0.100"],
        )
        self.story.begun("pxelinux.0")
        self.assertEqual(self.news(), [])
        self.story.ended("pxelinux.0")
        self.assertEqual(self.news(), ["00:16:47  has pxelinux.0: 1000 B by TFTP, 1000 B/s"])
        self.story.fetched("vmlinuz")
        self.story.seen(Firmware.SYSTEM)
        self.assertEqual(
            [line[10:] for line in self.news()], ["has vmlinuz: 1000 B by TFTP, 1000 B/s", "has its system up"]
        )
        self.assertEqual(self.news(), [])

    def test_again(self) -> None:
        """Another boot tells its steps anew, and its files."""
        for _ in range(2):
            self.story.addressed()
            self.story.fetched("vmlinuz")
            self.assertEqual(len(self.news()), 4)

    def test_trouble(self) -> None:
        """What is the matter, once; again when it was better meanwhile."""
        for _ in range(2):
            self.story.seen()
            self.story.ignored("not in [mac]", "x.ini:3: [mac]")
            said = self.news()
            self.assertIn("Its DISCOVER is left unanswered: not in [mac]. (x.ini:3: [mac])", said[-1])
            self.assertEqual(self.news(), [])
            self.story.offered()
            self.news()

    def test_failed(self) -> None:
        """A file that did not arrive."""
        self.story.addressed()
        self.news()
        self.story.begun("pxelinux.0")
        self.story.failed("pxelinux.0")
        self.assertIn("does not have pxelinux.0: the client fell silent", "\n".join(self.news()))

    def test_bounded(self) -> None:
        """So many machines, and so many files of each, are known."""
        self.patch(terminal, "MACHINES", 1)
        self.patch(terminal, "FILES", 1)
        done = [{"name": str(index), "begun": 1.0, "state": "done"} for index in range(3)]
        for name in ("a", OTHER):
            self.assertEqual(len(self.lines.news([row_of(name, 1.0, transfers=done, stages={"asked": 1.0})], 5.0)), 4)
        self.assertEqual(len(self.lines.news([row_of("a", 1.0, stages={"asked": 1.0})], 5.0)), 1, "it was forgotten")
