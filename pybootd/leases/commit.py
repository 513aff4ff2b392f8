"""
Many claims, one sync: what arrives while the store is writing is written together next.

A disk that needs milliseconds for a sync would else decide how many machines can boot in a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybootd.errors import StoreAway, StoreError
from pybootd.interfaces import ILeaseStore
from pybootd.leases.lease import Claim
from pybootd.plain import plain


@plain
class Outcome(Enum):
    """What became of a claim."""

    DURABLE = "durable"
    """It is written down and synced: its ACK may leave."""
    VOID = "void"
    """Another server gave the address to another machine (shared stores only)."""
    FAILED = "failed"
    """The store could not be written; what it held before holds still."""


Done = Callable[[Outcome], None]

GROUP = 1024
"""Claims in one transaction, at most."""

TURNS = 4
"""
Turns of the reactor for which a group waits, at most, as long as each brings more claims: machines that were offered an
address in the first one come back in the next.  A sync takes 150 us of the processor, however many claims are in it.
"""

PAUSE = 2.0
"""Seconds after a failure until the store is tried again, with nothing to write; when that succeeds, something new may
be promised."""


class GroupCommit:
    """Hands claims to a store, in groups, one group at a time."""

    log = Logger()

    def __init__(self, store: ILeaseStore, call_later: Callable[..., object], waiting: int = 65536) -> None:
        """
        @param call_later: C{reactor.callLater}.
        @param waiting: claims that may wait; when a store falls further behind, the newest fail, and their machines
            ask again.
        """
        self.most = waiting
        self.alone = not store.shared
        """Whether nobody else writes to the store."""
        self._store = store
        self._call_later = call_later
        self._waiting: list[tuple[Claim, Done]] = []
        self._busy = False
        self._said = False
        self.failed = ""
        """Why the store could not be written the last time; empty while all is well."""
        self.failing = False
        """Whether the last attempt failed: promising anything before one succeeds would be in vain."""
        self._trying = False
        self._ending = False
        self._drained: list[Deferred[None]] = []

    def submit(self, claim: Claim, done: Done) -> None:
        """Write this claim down; C{done} is called with what became of it, once, not before this returns."""
        if len(self._waiting) >= self.most:
            self._call_later(0, done, Outcome.FAILED)
            return
        self._waiting.append((claim, done))
        self._schedule()

    def drained(self) -> Deferred[None]:
        """The end is near: fires when nothing waits and nothing is being written."""
        drained: Deferred[None] = Deferred()
        self._ending = True
        self._drained.append(drained)
        if not self._busy:
            self._next()
        return drained

    def _schedule(self) -> None:
        """Everything that this wake-up of the reactor brings goes in one group, and what follows at its heels."""
        if self._waiting and not self._busy:
            self._busy = True
            self._call_later(0, self._gather, len(self._waiting), TURNS)

    def _gather(self, before: int, turns: int) -> None:
        count = len(self._waiting)
        if before < count < GROUP and turns:
            self._call_later(0, self._gather, count, turns - 1)
        else:
            self._flush()

    def _flush(self) -> None:
        group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
        written: Deferred[Sequence[bool]] = maybeDeferred(self._store.commit, [claim for claim, _ in group])
        written.addCallback(self._settle, group)
        written.addErrback(self._fail, group)
        written.addCallback(lambda _: self._next())

    def _settle(self, flags: Sequence[bool], group: Sequence[tuple[Claim, Done]]) -> None:
        if len(flags) != len(group):
            raise StoreError(f"{self._store.name} answered {len(flags)} of {len(group)} claims")
        if self.failed:
            self.failed, self.failing = "", False
            if self._said:
                self.log.info("the lease store works again")
            self._said = False
        for (_, done), flag in zip(group, flags, strict=True):
            self._tell(done, Outcome.DURABLE if flag else Outcome.VOID)

    def _fail(self, failure: Failure, group: Sequence[tuple[Claim, Done]]) -> None:
        reason = failure.getErrorMessage() or repr(failure.value)
        if reason != self.failed:
            self.failed = reason
            self._said = not failure.check(StoreAway)
            if not self._said:
                pass  # the store has said so itself
            elif failure.check(StoreError):
                self.log.error("no lease can be given: {reason}", reason=reason)
            else:
                self.log.failure("no lease can be given", failure)
        self.failing = True
        self._try_later()
        for _, done in group:
            self._tell(done, Outcome.FAILED)

    def _tell(self, done: Done, outcome: Outcome) -> None:
        try:
            done(outcome)
        except Exception:
            self.log.failure("after a claim was {outcome}", outcome=outcome.value)

    def _try_later(self) -> None:
        if not self._trying and not self._ending:
            self._trying = True
            self._call_later(PAUSE, self._try)

    def _try(self) -> None:
        """Nobody is promised anything while the store fails, so nobody's claim would show that it works again."""
        self._trying = False
        if not self.failing or self._ending:
            return
        if self._busy:
            self._try_later()
            return
        self._busy = True
        tried: Deferred[Sequence[bool]] = maybeDeferred(self._store.commit, ())
        tried.addCallbacks(self._works, lambda _: self._try_later())
        tried.addCallback(lambda _: self._next())

    def _works(self, _: object) -> None:
        # that it works again is said when something was written
        self.failing = False

    def _next(self) -> None:
        self._busy = False
        self._schedule()
        if not self._busy:
            waiting, self._drained = self._drained, []
            for drained in waiting:
                drained.callback(None)
