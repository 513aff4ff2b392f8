"""
The access backends' word about whoever asks, without making anybody else wait.

A backend that answers at once costs no Deferred.  For one that takes its time, a machine that asks again waits with its
latest request only; how many machines wait at once is bounded, and so is how long.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybootd.dhcp.request import Request
from pybootd.errors import AccessUnavailable
from pybootd.interfaces import IAccessControl, Phase, Question, Verdict
from pybootd.machine import Machine

BUSY = Verdict(False, "too many machines are being asked about just now; it may try again")

Then = Callable[[Request, Machine, Verdict], None]


class Gate:
    """Asks one backend (which may stand for several)."""

    log = Logger()

    def __init__(
        self, backend: IAccessControl, clock: Any, timeout: float, then: Then, *, limit: int = 64, memory: int = 20_000
    ) -> None:
        """
        @param timeout: seconds; no word by then is a refusal.
        @param then: called with each verdict, and the request that it is for.
        @param limit: how many machines may wait for a verdict at once; the last quarter is for those that are known.
        @param memory: of how many machines it is known which phase was allowed last.
        """
        self._backend = backend
        self._clock = clock
        self._timeout = timeout
        self._then = then
        self._limit = limit
        self._memory = memory
        self._waiting: dict[tuple[bytes, Phase], Request] = {}
        self._allowed: OrderedDict[bytes, Phase] = OrderedDict()

    def ask(self, request: Request, machine: Machine, uuid: bytes) -> None:
        """@param uuid: as the request, or an earlier one, says it; empty if not known."""
        key, phase = request.key, Phase.BOOT if request.boots else Phase.SYSTEM
        if (key, phase) in self._waiting:
            self._waiting[key, phase] = request
            return
        known = machine.address is not None or key in self._allowed
        if len(self._waiting) >= (self._limit if known else self._limit - self._limit // 4):
            self._then(request, machine, BUSY)
            return
        verdict = self._check(
            Question(
                mac=key,
                uuid=uuid or None,
                phase=phase,
                architecture=request.architecture,
                address=machine.address,
                stage_changed=self._allowed.get(key) is not phase,
            )
        )
        if isinstance(verdict, Verdict):
            self._tell(verdict, request, machine, phase)
            return
        self._waiting[key, phase] = request
        verdict.addTimeout(self._timeout, self._clock)
        verdict.addErrback(self._unavailable)
        verdict.addCallback(lambda said: self._tell(said, self._waiting.pop((key, phase)), machine, phase))
        verdict.addErrback(lambda failure: self.log.failure("cannot answer {mac}", failure, mac=machine.mac))

    def _check(self, question: Question) -> Verdict | Deferred[Verdict]:
        try:
            said: Verdict | Deferred[Verdict] = self._backend.check(question)
        except Exception:
            return self._unavailable(Failure())
        return said

    def _unavailable(self, failure: Failure) -> Verdict:
        """No verdict is a refusal: whatever breaks, the door stays shut."""
        if failure.check(TimeoutError):
            reason = f"no answer within {self._timeout:g} s"
        else:
            reason = failure.getErrorMessage()
            if not failure.check(AccessUnavailable):
                self.log.failure("the access backend {name} failed", failure, name=self._backend.name)
        return Verdict(False, f"no verdict about it could be had: {reason}")

    def _tell(self, verdict: Verdict, request: Request, machine: Machine, phase: Phase) -> None:
        if verdict.allowed:
            key = request.key
            self._allowed[key] = phase
            self._allowed.move_to_end(key)
            if len(self._allowed) > self._memory:
                self._allowed.popitem(last=False)
        self._then(request, machine, verdict)
