"""Several access backends."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from pybootd.access.together import AllAgree
from pybootd.errors import AccessUnavailable
from pybootd.interfaces import IAccessControl, Phase, Question, Verdict

QUESTION = Question(b"\xaa" * 6, None, Phase.BOOT, 0, None)
YES, NO = Verdict(True, "welcome", "line 1"), Verdict(False, "unwelcome", "line 2")


@implementer(IAccessControl)
class Says:
    """A backend that says one thing."""

    name = "says"

    def __init__(self, answer: Verdict | Deferred[Verdict]) -> None:
        self.answer = answer
        self.asked = 0

    def check(self, question: Question) -> Verdict | Deferred[Verdict]:
        self.asked += 1
        return self.answer


class AllAgreeTests(SynchronousTestCase):
    """All must agree."""

    def test_interface(self) -> None:
        """It is a backend itself."""
        verifyObject(IAccessControl, AllAgree([]))

    def test_at_once(self) -> None:
        """Where nobody waits, the verdict is there at once."""
        self.assertEqual(AllAgree([Says(YES), Says(YES)]).check(QUESTION), YES)

    def test_first_refusal(self) -> None:
        """The first refusal is final: it is the verdict, and nobody else is asked."""
        last = Says(YES)
        self.assertEqual(AllAgree([Says(YES), Says(NO), last]).check(QUESTION), NO)
        self.assertEqual(last.asked, 0)

    def test_waiting(self) -> None:
        """One that takes its time is waited for before the next is asked."""
        slow: Deferred[Verdict] = Deferred()
        last = Says(NO)
        verdict = AllAgree([Says(YES), Says(slow), last]).check(QUESTION)
        self.assertNoResult(verdict)
        self.assertEqual(last.asked, 0)
        slow.callback(YES)
        self.assertEqual(self.successResultOf(verdict), NO)

    def test_slow_refusal(self) -> None:
        """A refusal that took its time is final too."""
        slow: Deferred[Verdict] = Deferred()
        last = Says(YES)
        verdict = AllAgree([Says(slow), last]).check(QUESTION)
        slow.callback(NO)
        self.assertEqual((self.successResultOf(verdict), last.asked), (NO, 0))

    def test_unavailable(self) -> None:
        """One that has no verdict leaves none for all."""
        slow: Deferred[Verdict] = Deferred()
        verdict = AllAgree([Says(slow), Says(YES)]).check(QUESTION)
        slow.errback(AccessUnavailable("down"))
        self.failureResultOf(verdict, AccessUnavailable)

    def test_names(self) -> None:
        """What they say of host name and boot file is joined, the first one's word first."""
        one, two = Verdict(True, "", "", "node", ""), Verdict(True, "", "", "other", "file")
        verdict = AllAgree([Says(one), Says(two)]).check(QUESTION)
        self.assertEqual((verdict.hostname, verdict.boot_file), ("node", "file"))
