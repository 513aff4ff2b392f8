"""
Threads that wait for disks.

They are none of the reactor's own, in which leases are written and names are looked up: these must not wait for a disk
that does not answer, however many clients want its files.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

MOST = 10
"""How many there are at most: a disk has little use for more questions at once."""


class Threads:
    """
    A pool that begins with its first task.

    Nobody waits for its end: what a thread still reads when the server stops is of no use to anybody.
    """

    log = Logger()

    def __init__(self, reactor: Any, pool: Callable[..., ThreadPool] = ThreadPool) -> None:
        self._reactor = reactor
        self._make = pool
        self._pool: ThreadPool | None = None
        self._refused = False

    def run(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """
        Run a function in a thread; here, where the system lets this process have none.

        @return: fires with its result.
        """
        pool = self._pool
        if pool is None:
            pool = self._pool = self._begin()
        try:
            return deferToThreadPool(self._reactor, pool, function, *arguments)
        except RuntimeError as error:  # a limit for tasks: who waits for the disk keeps others waiting then
            self._say(error)
            return maybeDeferred(function, *arguments)

    def _begin(self) -> ThreadPool:
        pool = self._make(0, MOST, "disk")
        pool.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
        pool.start()
        return pool

    def _say(self, error: RuntimeError) -> None:
        """Once."""
        if not self._refused:
            self._refused = True
            self.log.warn(
                "no further thread ({error}): a slow disk keeps all waiting now; raise the limit for tasks (TasksMax=,"
                " ulimit -u)",
                error=error,
            )
