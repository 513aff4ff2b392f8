"""Whether a process answers: when it is asked, and when it has not."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pybootd.workers.watch import ANSWERING, INTERVAL, STARTING, Watch


class WatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[float] = []
        self.hung: list[float] = []
        self.watch = Watch(self.clock, lambda: self.asked.append(self.clock.seconds()), self.hung.append)
        self.watch.start()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.addCleanup(self.watch.stop)

    def rounds(self, seconds: float) -> None:
        """The time of so many whole rounds."""
        self.clock.pump([INTERVAL] * round(seconds / INTERVAL))

    def test_start(self) -> None:
        """It has long to start, and is not asked before it has."""
        self.rounds(STARTING - INTERVAL)
        self.assertEqual((self.asked, self.hung), ([], []))
        self.rounds(INTERVAL)
        self.assertEqual(self.hung, [STARTING])

    def test_silence(self) -> None:
        """Without an answer it is told once that there is none, so long after the question; nobody asks any more."""
        self.watch.answered()
        self.rounds(INTERVAL)
        self.assertEqual(self.asked, [INTERVAL])
        self.rounds(ANSWERING - INTERVAL)
        self.assertEqual(self.hung, [])
        self.rounds(INTERVAL)
        self.assertEqual((self.asked, self.hung), ([INTERVAL], [ANSWERING]))
        self.rounds(10 * ANSWERING)
        self.assertEqual((len(self.asked), self.hung), (1, [ANSWERING]))

    def test_late(self) -> None:
        """An answer in the last round is one; the next question has all its time."""
        self.watch.answered()
        self.rounds(ANSWERING)
        self.watch.answered()
        self.rounds(ANSWERING)
        self.assertEqual((self.asked, self.hung), ([INTERVAL, INTERVAL + ANSWERING], []))

    def test_standstill(self) -> None:
        """After an hour in which nothing ran at all, here or there, the worker is given time."""
        self.watch.answered()
        self.rounds(INTERVAL)
        self.clock.advance(3600)
        self.assertEqual(self.hung, [])
        self.watch.answered()
        self.rounds(ANSWERING)
        self.assertEqual(self.hung, [])

    def test_stop(self) -> None:
        """Stopped, it asks nobody, and may be stopped again; started again, it begins anew."""
        self.watch.answered()
        self.rounds(2 * INTERVAL)
        self.watch.stop()
        self.watch.stop()
        self.rounds(10 * ANSWERING)
        self.assertEqual((len(self.asked), self.hung), (1, []))
        self.watch.start()
        self.rounds(STARTING)
        self.assertEqual((len(self.asked), self.hung), (1, [STARTING]))
