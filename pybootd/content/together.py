"""One question for all who ask it at the same time: a hall of machines wants the same file at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from pybootd.content.content import Content


class Supply(Protocol):
    """What came of a question: a file that one or several may read."""

    def contents(self, readers: int) -> list[Content]:
        """
        For each reader a content: for all of them, or for the first only.

        With no readers left it ends what was begun.
        """


class Together:
    """
    Asks once for each URL, and hands what comes to everybody who waits by then.

    @param ask: begins to fetch an URL.  It is asked again, for each alone, where a supply
        has but one reader.
    """

    def __init__(self, ask: Callable[[str], Deferred[Supply]]) -> None:
        self._ask = ask
        self._waiting: dict[str, list[Deferred[Content]]] = {}

    def open(self, url: str) -> Deferred[Content]:
        """As in L{pybootd.interfaces.IFileSource}; who cancels the Deferred stops nobody else."""
        waiters = self._waiting.get(url)
        first = waiters is None
        if waiters is None:
            waiters = self._waiting[url] = []
        waiter: Deferred[Content] = Deferred(waiters.remove)
        waiters.append(waiter)
        if first:
            self._ask(url).addBoth(self._answered, url)
        return waiter

    def _answered(self, supply: Supply | Failure, url: str) -> None:
        waiters = self._waiting.pop(url)
        if isinstance(supply, Failure):
            for waiter in waiters:
                waiter.errback(supply)
            return
        contents = supply.contents(len(waiters))
        for waiter in waiters[len(contents) :]:
            self._ask(url).addCallback(lambda supply: supply.contents(1)[0]).chainDeferred(waiter)
        for waiter, content in zip(waiters, contents, strict=False):
            waiter.callback(content)
