"""Threads that wait for disks."""

from __future__ import annotations

import threading
from typing import Any

from twisted.logger import globalLogPublisher
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase

from pybootd.threads import MOST, Threads


class Reactor:
    """Keeps what comes from threads, until the test has it done."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.came = threading.Semaphore(0)

    def callFromThread(self, function: Any, *arguments: Any) -> None:
        self.calls.append((function, arguments))
        self.came.release()

    def turn(self) -> None:
        """Wait for one thread, and hear it."""
        assert self.came.acquire(timeout=60)
        function, arguments = self.calls.pop(0)
        function(*arguments)


class ThreadsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.pools: list[ThreadPool] = []
        self.threads = Threads(self.reactor, self.pool)
        self.addCleanup(lambda: [pool.stop() for pool in self.pools])

    def pool(self, *arguments: Any) -> ThreadPool:
        self.pools.append(ThreadPool(*arguments))
        return self.pools[-1]

    def test_result(self) -> None:
        """What a function returns or raises arrives, from another thread, which nobody waits for at the end."""
        self.assertEqual(self.pools, [])
        ran = self.threads.run(lambda *words: (threading.current_thread(), words), 1, 2)
        self.assertNoResult(ran)
        self.reactor.turn()
        thread, words = self.successResultOf(ran)
        self.assertIsNot(thread, threading.current_thread())
        self.assertTrue(thread.daemon)
        self.assertEqual(words, (1, 2))
        failed = self.threads.run(int, "x")
        self.reactor.turn()
        self.failureResultOf(failed, ValueError)

    def test_many(self) -> None:
        """More than there are threads take their turn."""
        go = threading.Event()
        self.addCleanup(go.set)
        ran = [self.threads.run(go.wait, 60) for _ in range(3 * MOST)]
        self.assertEqual(len(self.pools[0].threads), MOST)
        go.set()
        for _ in ran:
            self.reactor.turn()
        self.assertEqual([self.successResultOf(one) for one in ran], [True] * 3 * MOST)
        self.assertEqual(len(self.pools[0].threads), MOST)

    def test_limit(self) -> None:
        """Where the system allows no thread, the function runs all the same, and the log says so once."""
        lines: list[str] = []

        def observe(event: dict[str, Any]) -> None:
            if event.get("log_namespace") == "pybootd.threads.Threads":
                lines.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

        def refused(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        started = self.patch(threading.Thread, "start", refused)
        for _ in range(2):
            ran = self.threads.run(threading.current_thread)
            self.assertIs(self.successResultOf(ran), threading.current_thread())
        self.failureResultOf(self.threads.run(int, "x"), ValueError)
        started.restore()
        self.pools[0].threads.clear()
        [line] = lines
        self.assertIn("no further thread (can't start new thread): a slow disk keeps all waiting now", line)
        ran = self.threads.run(threading.current_thread)
        self.reactor.turn()
        self.assertIsNot(self.successResultOf(ran), threading.current_thread())
