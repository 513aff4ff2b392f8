"""Several access backends at once: all must agree."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from pybootd.interfaces import IAccessControl, Question, Verdict


@implementer(IAccessControl)
class AllAgree:
    """Asks in the order of the configuration; the first refusal is final."""

    name = "all"

    def __init__(self, backends: Sequence[IAccessControl]) -> None:
        self._backends = backends

    def check(self, question: Question) -> Verdict | Deferred[Verdict]:
        return self._ask(question, 0, Verdict(True, "nobody forbids it"))

    def _ask(self, question: Question, first: int, so_far: Verdict) -> Verdict | Deferred[Verdict]:
        for number in range(first, len(self._backends)):
            verdict = self._backends[number].check(question)
            if isinstance(verdict, Deferred):
                waiting: Deferred[Verdict] = verdict
                return waiting.addCallback(self._go_on, question, number + 1, so_far)
            if not verdict.allowed:
                return verdict
            so_far = _both(so_far, verdict)
        return so_far

    def _go_on(self, verdict: Verdict, question: Question, next: int, so_far: Verdict) -> Verdict | Deferred[Verdict]:
        return self._ask(question, next, _both(so_far, verdict)) if verdict.allowed else verdict


def _both(first: Verdict, second: Verdict) -> Verdict:
    """What two that agree know together; the first one's word goes first."""
    return Verdict(
        True,
        second.reason,
        second.setting or first.setting,
        first.hostname or second.hostname,
        first.boot_file or second.boot_file,
    )
