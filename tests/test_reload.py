"""SIGHUP: everything at once, or nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pybootd.check import Finding, Kind
from pybootd.config import Config, LoggerConfig
from pybootd.config.reader import read
from pybootd.dhcp.preview import Difference
from pybootd.errors import EnvironmentProblem
from pybootd.reload import LINES, Reload, on_signal
from tests.support.dhcp import USUAL


class Server:
    """A server that notes what it is turned to."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.turned: list[Config] = []
        self.problem = ""
        self.answers: Sequence[Difference] = ()

    def prepare(self, config: Config) -> tuple[Callable[[], None], Sequence[Difference]]:
        if self.problem:
            raise EnvironmentProblem(self.problem)
        return lambda: self.turned.append(config), self.answers


class Observer:
    """Where lines go."""

    def __init__(self) -> None:
        self.turned: list[LoggerConfig] = []
        self.problem = ""

    def prepare(self, config: LoggerConfig) -> Callable[[], None]:
        if self.problem:
            raise EnvironmentProblem(self.problem)
        return lambda: self.turned.append(config)


class ReloadTests(SynchronousTestCase):
    """L{Reload}."""

    def setUp(self) -> None:
        """A server under one configuration, and a file that says another."""
        self.text = USUAL
        self.server, self.observer = Server(self.read()), Observer()
        self.findings: list[Finding] = []
        self.lines: list[tuple[str, str]] = []
        globalLogPublisher.addObserver(self.note)
        self.addCleanup(globalLogPublisher.removeObserver, self.note)
        self.reload = Reload(self.server, self.read, self.observer, self.look)

    def note(self, event: dict[str, object]) -> None:
        """One event of the log."""
        if event.get("log_namespace") == "pybootd.reload.Reload":
            self.lines.append((event["log_level"].name, str(event["log_format"]).format(**event)))  # type: ignore

    def read(self) -> Config:
        """What the file says."""
        return read(self.text, directory=Path("/srv"))

    def look(self, config: Config) -> Sequence[Finding]:
        """What a look at the host finds."""
        return self.findings

    def stays(self, *words: str) -> None:
        """The old configuration stays in force, and each of these is said as an error."""
        self.assertFalse(self.reload())
        self.assertEqual((self.server.turned, self.observer.turned), ([], []))
        errors = [text for level, text in self.lines if level == "error"]
        for word in words:
            self.assertTrue(any(word in text for text in errors), (word, errors))
        self.assertIn("the configuration in force stays", errors[-1])

    def test_change(self) -> None:
        """All parts turn to the new one; before that it is said what changes, and for whom."""
        self.text = USUAL.replace("pxelinux.0", "lpxelinux.0") + "[logger]\nlevel = debug\n"
        self.server.answers = [Difference("02:00:00:00:00:01", "boot file a -> b")]
        self.assertTrue(self.reload())
        self.assertEqual(self.server.turned, [self.read()])
        self.assertEqual(self.observer.turned, [self.read().logger])
        self.assertEqual(
            [text for _, text in self.lines],
            [
                "reload: [logger] level: info -> debug",
                "reload: [bootfile] default: pxelinux.0 -> lpxelinux.0",
                "reload: 02:00:00:00:00:01 boot file a -> b",
                "reload: 2 lines changed; other answers for 1 of the machines seen lately",
                "reload: pybootd.ini is in force",
            ],
        )

    def test_started(self) -> None:
        """Once the server serves, what is doubtful is said as it is; what would keep it from starting did not."""
        self.findings = [Finding(Kind.FACT, "a port"), Finding(Kind.WARNING, "x.ini:3: {no} such file")]
        self.reload.started()
        self.assertEqual([text for _, text in self.lines], ["x.ini:3: {no} such file"])

    def test_unchanged(self) -> None:
        """The same file is taken again: what it names, and the host, may have changed."""
        self.assertTrue(self.reload())
        self.assertEqual(len(self.server.turned), 1)
        self.assertIn("says what it said before", self.lines[0][1])

    def test_mistakes(self) -> None:
        """Every mistake is said, with its line."""
        self.text = USUAL.replace("default =", "nonsense =").replace("root =", "rot =")
        self.stays("pybootd.ini:8: [bootfile] nonsense", "pybootd.ini:13: [tftpd] rot", "errors: 2")

    def test_unreadable(self) -> None:
        """So is a file that is gone."""

        def gone() -> Config:
            raise EnvironmentProblem("pybootd.ini: no such configuration")

        self.reload = Reload(self.server, gone, self.observer, self.look)
        self.stays("no such configuration")

    def test_restart(self) -> None:
        """What needs a restart is said, every bit of it, and keeps the rest from changing too."""
        self.text = USUAL.replace("[bootfile]", "port = 1067\nlease_time = 7\n[leases]\nstore = memory\n[bootfile]")
        self.stays("[bootpd] port: 67 -> 1067: needs a restart", "[leases] store", "errors: 2")

    def test_host(self) -> None:
        """What the host lacks for it is said, all at once."""
        self.findings = [Finding(Kind.PROBLEM, "no such directory"), Finding(Kind.PROBLEM, "no such key")]
        self.stays("no such directory", "no such key", "errors: 2")

    def test_warnings(self) -> None:
        """Warnings are said and keep nobody from anything."""
        self.findings = [Finding(Kind.WARNING, "no such file below the root"), Finding(Kind.FACT, "TFTP: ...")]
        self.assertTrue(self.reload())
        self.assertEqual(self.lines[0], ("warn", "reload: no such file below the root"))

    def test_part_refuses(self) -> None:
        """A part that cannot turn keeps all others where they are."""
        self.server.problem = "no certificate in PEM form"
        self.stays("no certificate in PEM form")
        self.server.problem, self.observer.problem = "", "file = /none/x"
        self.stays("file = /none/x")

    def test_no_privileges(self) -> None:
        """What a server without privileges cannot look at is no mistake."""

        def look(config: Config) -> Sequence[Finding]:
            raise PermissionError(13, "Permission denied", "/var/lib/private")

        self.assertTrue(Reload(self.server, self.read, self.observer, look)())
        self.assertIn("/var/lib/private", self.lines[0][1])

    def test_our_mistake(self) -> None:
        """Whatever else goes wrong, the server runs on as before."""

        def broken() -> Config:
            raise ZeroDivisionError

        self.assertFalse(Reload(self.server, broken, self.observer, self.look)())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_many(self) -> None:
        """However much changes, the log stays readable."""
        self.server.answers = [Difference(f"02:00:00:00:00:{last:02x}", "gets other options") for last in range(200)]
        self.assertTrue(self.reload())
        told = [text for _, text in self.lines if "gets other options" in text]
        self.assertEqual(len(told), LINES)
        self.assertIn(f"reload: ... and {200 - LINES} more", [text for _, text in self.lines])

    def test_signal(self) -> None:
        """SIGHUP reloads, in the reactor's thread and not within the signal."""
        before = signal.getsignal(signal.SIGHUP)
        self.addCleanup(signal.signal, signal.SIGHUP, before)
        calls: list[object] = []

        class Reactor(Clock):
            def callFromThread(self, function: object) -> None:
                calls.append(function)

        on_signal(self.reload, Reactor())
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual(calls, [self.reload])
        self.assertEqual(self.server.turned, [])
