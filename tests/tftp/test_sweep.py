"""The timer that looks at the deadlines of all transfers."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pybootd.tftp.lent import Standing
from pybootd.tftp.pace import PAUSE
from pybootd.tftp.sweep import LONGEST, SWEEP, Sweep
from tests.support.tftp import FakeHub


class Member:
    """Remembers what it was told; expires once."""

    def __init__(self, deadline: float, *, paced: bool = False, blocked: bool = False, shares: bool = True) -> None:
        self.transfer = Standing(deadline=deadline, paced=paced)
        self.blocked = blocked
        self.shares = shares
        self.told: list[tuple[str, float]] = []

    def expire(self, now: float) -> None:
        self.told.append(("expire", now))
        self.transfer.deadline = float("inf")

    def writable(self, now: float) -> None:
        self.told.append(("writable", now))
        self.blocked = False


class SweepTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.members: list[Member] = []
        self.swept: list[float] = []
        self.hub = FakeHub(self.clock.seconds)
        self.sweep = Sweep(self.clock, self.hub, lambda: tuple(self.members), self.swept.append)

    def test_deadline(self) -> None:
        """A transfer whose deadline has passed is told so at the next look, others are left alone."""
        self.members = [Member(SWEEP / 2), Member(10 * SWEEP, shares=False)]
        self.hub.calm = False
        self.sweep.start()
        self.sweep.start()
        self.clock.pump([SWEEP, SWEEP])
        self.assertEqual(self.members[0].told, [("expire", SWEEP)])
        self.assertEqual(self.members[1].told, [])
        self.assertEqual(self.swept, [SWEEP, 2 * SWEEP])

    def test_few(self) -> None:
        """Few are looked at when their first deadline comes, if that is not very soon; but not much more rarely."""
        for deadlines, pause in (([1.0, 1.5 * SWEEP], 1.5 * SWEEP), ([SWEEP / 2], SWEEP), ([1.0], LONGEST)):
            self.members = [Member(SWEEP + deadline, shares=False) for deadline in deadlines]
            clock, swept = Clock(), list[float]()
            hub = FakeHub(clock.seconds)
            sweep = Sweep(clock, hub, lambda: tuple(self.members), swept.append)
            sweep.start()
            clock.advance(SWEEP)
            [look] = clock.getDelayedCalls()
            self.assertAlmostEqual(look.getTime(), SWEEP + pause)
            self.members.append(Member(1.0))  # its socket is the server's
            clock.advance(LONGEST)
            [look] = clock.getDelayedCalls()
            self.assertAlmostEqual(look.getTime() - clock.seconds(), SWEEP)

    def test_nobody(self) -> None:
        """With the last transfer the looks end, and with the next one they begin again."""
        self.sweep.start()
        self.clock.pump([SWEEP] * 5)
        self.assertEqual((self.swept, self.clock.getDelayedCalls()), ([SWEEP], []))
        self.members = [Member(10.0)]
        self.sweep.start()
        self.clock.pump([SWEEP] * 3)
        self.assertEqual(len(self.swept), 4)

    def test_paced(self) -> None:
        """A window that leaves in bursts is looked at more often."""
        self.members = [Member(10.0), Member(10.0, paced=True)]
        self.sweep.start()
        self.clock.pump([SWEEP, PAUSE, PAUSE])
        self.assertEqual(len(self.swept), 3)
        self.members.pop()
        self.clock.pump([PAUSE] * 4)
        self.assertEqual(len(self.swept), 4)

    def test_blocked(self) -> None:
        """Who waits for the shared socket tries again; who waits for one of its own is told by the hub."""
        self.members = [Member(10.0, blocked=True), Member(10.0, blocked=True, shares=False)]
        self.sweep.start()
        self.clock.advance(SWEEP)
        self.assertEqual([member.told for member in self.members], [[("writable", SWEEP)], []])

    def test_stop(self) -> None:
        """Nothing is looked at after the end."""
        self.members = [Member(0.0)]
        self.sweep.start()
        self.sweep.stop()
        self.sweep.stop()
        self.clock.advance(1)
        self.assertEqual((self.swept, self.clock.getDelayedCalls()), ([], []))
