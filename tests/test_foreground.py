"""Tests for L{pybootd.foreground}."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from twisted.logger import LogEvent
from twisted.trial.unittest import SynchronousTestCase

from pybootd import foreground
from pybootd.errors import EnvironmentProblem

SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1)


class Observer:
    """Where lines go."""

    def __call__(self, event: LogEvent) -> None:
        """A line."""

    def reopen(self) -> None:
        """The file was moved away."""


class Reactor:
    """A reactor that begins, runs what it was asked to, and ends."""

    def __init__(self) -> None:
        self.started: list[Callable[[], None]] = []
        self.calls: list[object] = []
        self.stopped = False

    def callWhenRunning(self, function: Callable[[], None]) -> None:
        self.started.append(function)

    def addSystemEventTrigger(self, *words: object) -> None:
        """Nothing stops here."""

    def callFromThread(self, function: object) -> None:
        self.calls.append(function)

    def run(self) -> None:
        for function in self.started:
            function()

    def stop(self) -> None:
        self.stopped = True


class Server:
    """A server that is sent signals as soon as its ports can be seen."""

    def __init__(self, problem: str = "") -> None:
        self.problem = problem
        self.did: list[str] = []

    def bind(self) -> None:
        self.did.append("bind")
        for number in SIGNALS:
            os.kill(os.getpid(), number)

    def privilegedStartService(self) -> None:
        self.did.append("start")
        if self.problem:
            raise EnvironmentProblem(self.problem)

    def startService(self) -> None:
        self.did.append("serve")

    def stopService(self) -> None:
        self.did.append("stop")


class RunTests(SynchronousTestCase):
    """L{foreground.run}."""

    def setUp(self) -> None:
        """The signals are as before afterwards, and trial keeps its log."""
        for number in SIGNALS:
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.reactor = Reactor()
        begins = patch.object(foreground.globalLogBeginner, "beginLoggingTo")
        begins.start()
        self.addCleanup(begins.stop)

    def run_server(self, server: Any) -> int:
        """Run it."""
        return foreground.run(server, Observer(), self.reactor, lambda: None)

    def test_early_signals(self) -> None:
        """Signals that come as soon as the ports can be seen are minded when the server runs, and do not end it."""
        server = Server()
        self.assertEqual(self.run_server(server), 0)
        self.assertEqual(server.did, ["bind", "start", "serve"])
        self.assertEqual(len(self.reactor.calls), len(SIGNALS))
        self.assertEqual(self.reactor.calls[1], self.reactor.stop)

    def test_failure(self) -> None:
        """A server that cannot start ends the reactor, and its error is the caller's."""
        server = Server("no room")
        with self.assertRaisesRegex(EnvironmentProblem, "no room"):
            self.run_server(server)
        self.assertTrue(self.reactor.stopped)
