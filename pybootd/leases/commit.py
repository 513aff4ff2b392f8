"""
Many claims, one sync: what arrives while the store is writing is written together next.

A disk that needs milliseconds for a sync would else decide how many machines can boot in a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybootd.errors import StoreError
from pybootd.interfaces import ILeaseStore
from pybootd.leases.lease import Claim

Done = Callable[[bool], None]
"""Told True when the claim is durable, False when it is void."""

GROUP = 1024
"""Claims in one transaction, at most."""

WAITING = 65536
"""Claims that may wait; a store that falls further behind loses the newest, whose machines ask again."""


class GroupCommit:
    """Hands claims to a store, in groups."""

    log = Logger()

    def __init__(self, store: ILeaseStore, call_later: Callable[..., object]) -> None:
        """@param call_later: C{reactor.callLater}."""
        self._store = store
        self._call_later = call_later
        self._waiting: list[tuple[Claim, Done]] = []
        self._scheduled = False
        self._busy = False
        self.failed = ""
        """Why the store could not keep its promise the last time; empty while all is well."""

    def submit(self, claim: Claim, done: Done) -> None:
        """Write this claim down; C{done} is called when that has been tried."""
        if len(self._waiting) >= WAITING:
            done(False)
            return
        self._waiting.append((claim, done))
        if not self._scheduled and not self._busy:
            # everything that this wake-up of the reactor brings goes in one group
            self._scheduled = True
            self._call_later(0, self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self._busy or not self._waiting:
            return
        self._busy = True
        group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
        written: Deferred[Sequence[bool]] = self._store.commit([claim for claim, _ in group])
        written.addCallbacks(self._settle, self._fail, callbackArgs=(group,), errbackArgs=(group,))
        written.addErrback(lambda failure: self.log.failure("after a commit", failure))
        written.addCallback(lambda _: self._next())

    def _settle(self, flags: Sequence[bool], group: Sequence[tuple[Claim, Done]]) -> None:
        if self.failed:
            self.log.info("the lease store works again")
            self.failed = ""
        for (_, done), flag in zip(group, flags, strict=True):
            done(flag)

    def _fail(self, failure: Failure, group: Sequence[tuple[Claim, Done]]) -> None:
        reason = failure.getErrorMessage()
        if reason != self.failed:
            self.failed = reason
            if failure.check(StoreError):
                self.log.error("no lease can be given: {reason}", reason=reason)
            else:
                self.log.failure("no lease can be given", failure)
        for _, done in group:
            done(False)

    def _next(self) -> None:
        self._busy = False
        self._flush()
