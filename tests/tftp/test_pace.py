"""How much of a window leaves at once, and what a transfer makes of it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.tftp.options import Ceilings, negotiate
from pybootd.tftp.pace import FEWEST, PAUSE, ROW, Pace
from pybootd.tftp.transfer import State
from tests.tftp.test_transfer import TransferCase

WIDE = negotiate({"windowsize": b"32"}, Ceilings(), None)


class PaceTests(SynchronousTestCase):
    """The rule."""

    def test_good_network(self) -> None:
        """Whole windows leave in one go."""
        pace = Pace(64)
        for _ in range(100):
            pace.whole()
        self.assertEqual((pace.burst, pace.slow), (64, False))

    def test_silence(self) -> None:
        """Each silence halves the burst, down to the fewest."""
        pace = Pace(64)
        seen = []
        for _ in range(5):
            pace.silence()
            seen.append(pace.burst)
        self.assertEqual(seen, [32, 16, FEWEST, FEWEST, FEWEST])
        self.assertTrue(pace.slow)

    def test_small_windows(self) -> None:
        """A window that is small anyway is not divided."""
        for windowsize in (1, 4, FEWEST):
            pace = Pace(windowsize)
            pace.silence()
            self.assertEqual((pace.burst, pace.slow), (windowsize, False))

    def test_gaps(self) -> None:
        """What the client reports at once makes nothing slower; whole windows in a row make it quicker again."""
        pace = Pace(64)
        for _ in range(100):
            pace.gap()
        self.assertEqual(pace.burst, 64)
        pace.silence()
        for _ in range(50):
            for _ in range(ROW - 1):
                pace.whole()
            pace.gap()
        self.assertEqual(pace.burst, 32)

    def test_growth(self) -> None:
        """Windows that come whole bring back what was taken away."""
        pace = Pace(64)
        pace.silence()
        pace.silence()
        for burst in (32, 64):
            for _ in range(ROW):
                self.assertLess(pace.burst, burst)
                pace.whole()
            self.assertEqual(pace.burst, burst)
        self.assertFalse(pace.slow)


class PacedTransferTests(TransferCase):
    """A transfer whose windows are lost at their end."""

    def begin(self) -> None:
        self.start(last=1000, agreement=WIDE)
        self.sent()
        self.assertEqual(self.ack(0), list(range(1, 33)))
        self.assertEqual(self.wait(), list(range(1, 17)))  # nothing came back

    def test_bursts(self) -> None:
        """After a silence the window leaves in bursts, with pauses between, and without an ACK between."""
        self.begin()
        self.assertTrue(self.transfer.paced)
        self.assertEqual(self.sent(), [])
        self.assertAlmostEqual(self.transfer.deadline - self.now, PAUSE)
        self.assertEqual(self.wait(), list(range(17, 33)))
        self.assertGreater(self.transfer.deadline - self.now, PAUSE)
        self.assertEqual(self.sent(), [])

    def test_no_trial(self) -> None:
        """A pause is no silence: the client keeps all its chances."""
        self.begin()
        for _ in range(3):
            self.wait()
            self.ack(self.transfer.acked + 32)
        self.assertIs(self.transfer.state, State.SENDING)
        self.assertEqual(self.transfer.resent, 32)

    def test_grown_back(self) -> None:
        """Whole windows bring back windows in one go."""
        self.begin()
        self.wait()
        for _ in range(ROW):
            block = self.transfer.acked + 32
            burst = self.ack(block)
            if self.transfer.paced:
                self.assertEqual(len(burst), 16)
                self.wait()
        self.assertFalse(self.transfer.paced)
        self.assertEqual(len(burst), 32)

    def test_gap_within_a_burst(self) -> None:
        """A client that misses a block in the first burst is served from there, at once."""
        self.begin()
        self.assertEqual(self.ack(5), list(range(6, 22)))

    def test_end(self) -> None:
        """The file's last blocks need no pause behind them."""
        self.start(last=20, agreement=WIDE)
        self.sent()
        self.ack(0)
        self.assertEqual(self.wait(), list(range(1, 17)))
        self.assertEqual(self.wait(), list(range(17, 21)))
        self.assertEqual(self.ack(20), [])
        self.assertIs(self.transfer.state, State.DONE)
