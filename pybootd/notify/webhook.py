"""
Events by POST to a web server, C{[webhook]}: C{{"events": [{"event": "leased", "mac": ...}, ...]}}.

One request at a time, so that events arrive in their order; those that happen meanwhile go together in the next one.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Collection
from itertools import islice
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pybootd.errors import WebFailed
from pybootd.events import KINDS, Event, plain
from pybootd.interfaces import INotifier

if TYPE_CHECKING:
    from pybootd.net.web import Answer

TOGETHER = 100
"""Events in one request."""

ATTEMPTS = 20
"""Over a quarter of an hour: the web server's host may be restarted meanwhile."""

LONGEST_PAUSE = 60.0
"""Seconds; the pauses between attempts are 1, 2, 4... until here."""

FAREWELL = 2.0
"""Seconds that a server that stops waits for what is pending."""

TOO_MANY = 429
Post = Callable[[bytes], "Deferred[Answer]"]


@implementer(INotifier)
class WebhookNotifier:
    """Tells one web server."""

    log = Logger()
    name = "webhook"

    def __init__(self, kinds: Collection[str], post: Post, clock: Any, waiting: int = 1000) -> None:
        """
        @param kinds: the names of the events that it is told of.
        @param post: sends one body, within a deadline; fails with L{WebFailed}.
        @param waiting: events that may wait; what comes on top is lost, and counted.
        """
        self._kinds = frozenset(KINDS[name] for name in kinds)
        self._post = post
        self._clock = clock
        self._waiting: deque[dict[str, object]] = deque()
        self._most = waiting
        self._lost = 0
        self._attempt = 0
        self._busy = False
        self._retry: Any = None
        self._idle: Deferred[None] | None = None
        """Fires when nothing is pending any more: the server stops."""

    def notify(self, event: Event) -> None:
        if type(event) not in self._kinds:
            return
        if len(self._waiting) >= self._most:
            self._lost += 1
            return
        self._waiting.append(plain(event))
        if not self._busy:
            self._busy = True
            self._clock.callLater(0, self._send)

    def close(self) -> Deferred[None]:
        """One more attempt for what is pending."""
        if not self._busy:
            return succeed(None)
        self._idle = Deferred()
        self._idle.addTimeout(FAREWELL, self._clock, onTimeoutCancel=lambda result, timeout: None)
        if self._retry is not None and self._retry.active():
            self._retry.reset(0)
        return self._idle

    def _send(self) -> None:
        self._attempt += 1
        batch = list(islice(self._waiting, TOGETHER))
        sent = self._post(json.dumps({"events": batch}).encode())
        sent.addCallback(self._answered, len(batch))
        sent.addErrback(self._failed, len(batch))

    def _answered(self, answer: Answer, count: int) -> None:
        if answer.status == TOO_MANY or answer.status >= 500:
            raise WebFailed(f"answers {answer.status}")
        if not 200 <= answer.status < 300:
            self.log.warn("the web hook answers {status}; events lost: {count}", status=answer.status, count=count)
        self._done(count)

    def _failed(self, failure: Failure, count: int) -> None:
        if not failure.check(WebFailed):
            self.log.failure("the web hook cannot be told", failure)
        if self._attempt >= ATTEMPTS or self._idle is not None:
            self.log.warn("the web hook: {why}; events lost: {count}", why=failure.getErrorMessage(), count=count)
            self._done(count)
            return
        if self._attempt == 1:
            self.log.warn("the web hook: {why}; it is tried again", why=failure.getErrorMessage())
        self._retry = self._clock.callLater(min(2.0 ** (self._attempt - 1), LONGEST_PAUSE), self._send)

    def _done(self, count: int) -> None:
        """The first events in the queue are no longer of interest."""
        for _ in range(count):
            self._waiting.popleft()
        self._attempt = 0
        if self._lost:
            self.log.warn("the web hook is too slow; events lost: {count}", count=self._lost)
            self._lost = 0
        if self._waiting:
            self._send()
            return
        self._busy = False
        if self._idle is not None and not self._idle.called:
            self._idle.callback(None)
