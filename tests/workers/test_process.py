"""A worker's process: what starts it, and how its end is told."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pybootd.workers.channel import Channel
from pybootd.workers.messages import Ended, Message
from pybootd.workers.process import LINES, Process, command
from tests.support.tree import open_descriptors
from tests.support.workers import Reactor


class Spawning(Reactor):
    """A reactor whose processes are none: their end of the channel is with the test."""

    pid = 4711
    refusal: OSError | None = None

    def spawnProcess(
        self,
        protocol: Process,
        program: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        childFDs: Mapping[int, Any],
    ) -> Spawning:
        if self.refusal is not None:
            raise self.refusal
        self.signals: list[str] = []
        self.started = (program, arguments)

        self.child = Channel(socket.socket(fileno=os.dup(childFDs[0])), self, lambda *what: None, lambda: None)
        return self

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)
        if len(self.signals) > 1:
            raise ProcessExitedAlready


class ProcessTests(SynchronousTestCase):
    def setUp(self) -> None:
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors leaked"))
        self.reactor = Spawning()
        self.told: list[Message] = []
        self.ends: list[str] = []

    def start(self) -> Process:
        process = Process(self.reactor, self.told.append, self.ends.append)
        self.addCleanup(self.reactor.child.close)
        self.addCleanup(process.close)
        return process

    def test_start(self) -> None:
        """It is this Python, with a module of its own, and no word of the configuration."""
        self.assertEqual(self.start().pid, 4711)
        self.assertEqual(self.reactor.started, (sys.executable, (sys.executable, "-P", "-m", "pybootd.workers")))

    def test_refused(self) -> None:
        """What cannot be started leaves nothing behind."""
        self.reactor.refusal = FileNotFoundError(2, "no")
        self.assertRaises(FileNotFoundError, Process, self.reactor, self.told.append, self.ends.append)

    def test_end(self) -> None:
        """What it said before its end is heard; then how it ended is told, once."""
        for end, how in {
            ProcessDone(0): "ended",
            ProcessTerminated(3): "failed with status 3",
            ProcessTerminated(signal=9): "was ended by signal 9",
        }.items():
            process = self.start()
            self.reactor.child.send(Ended(1, 2, ""))
            self.reactor.child.close()
            process.processEnded(Failure(end))
            self.assertEqual((self.told.pop(), self.ends.pop()), (Ended(1, 2, ""), how))

    def test_silent_end(self) -> None:
        """Who closes the channel without ending is ended, and who has ended already needs nothing."""
        process = self.start()
        self.reactor.child.close()
        self.reactor.turn()
        self.assertEqual((self.reactor.signals, self.ends), (["KILL"], []))
        process.kill()

    def test_output(self) -> None:
        """What it writes, as Python does when it cannot even begin, is logged, up to a point and escaped."""
        lines: list[str] = []

        def observe(event: dict[str, Any]) -> None:
            if event.get("log_namespace") == "pybootd.workers.process.Process":
                lines.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        process = self.start()
        process.childDataReceived(2, b"Traceback\x1b[1m\n" * (LINES + 5))
        self.assertEqual(len(lines), LINES)
        self.assertEqual(lines[0], "worker process 4711: Traceback\\x1b[1m")

    def test_by_hand(self) -> None:
        """Started by hand, it says what it is."""
        arguments, environment = command()
        done = subprocess.run(
            arguments, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("not meant to be started by hand", done.stderr)
