"""The console script's commands."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from itertools import pairwise
from pathlib import Path

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from pybootd.cli import COMMANDS, main
from pybootd.commands import inspect

DOCS = Path(__file__).resolve().parent.parent / "docs"


class CommandsTests(SynchronousTestCase):
    """The table of commands."""

    def test_complete(self) -> None:
        """Each has options of its own that say how it is used, and a function."""
        for name, command in COMMANDS.items():
            options = command.options()
            self.assertIsInstance(options, usage.Options, name)
            self.assertTrue(options.synopsis.startswith(f"Usage: pybootd {name}"), name)
            self.assertTrue(callable(getattr(command._loaded(), name)), name)

    def test_described(self) -> None:
        """Each has a chapter of its own in C{docs/commands.rst}, in the order of the alphabet."""
        lines = (DOCS / "commands.rst").read_text().splitlines()
        chapters = [title for title, below in pairwise(lines) if below and set(below) == {"-"}]
        self.assertEqual(chapters, sorted(COMMANDS))
        self.assertEqual(list(COMMANDS), sorted(COMMANDS))

    def test_only_what_is_used(self) -> None:
        """The daemon carries none of them."""
        check = "import sys, pybootd.cli; print(*sorted(sys.modules))"
        done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
        loaded = set(done.stdout.split())
        self.assertEqual({f"pybootd.{command.module}" for command in COMMANDS.values()} & loaded, set())

    def test_usage(self) -> None:
        """An unknown command, and an unknown option of one, are wrong usage."""
        err = StringIO()
        self.patch(sys, "stderr", err)
        for words in (["nonsense"], ["check", "--nonsense"], ["replay"], ["check", "here"], ["chekc"]):
            self.assertEqual(self.assertRaises(SystemExit, main, words).code, 2, words)
        first, second, third, fourth, fifth = err.getvalue().splitlines()
        self.assertEqual(first, "pybootd: Unknown command: nonsense; see pybootd --help")
        self.assertTrue(second.endswith("see pybootd check --help"), second)
        self.assertTrue(third.endswith("see pybootd replay --help"), third)
        self.assertEqual(fourth, "pybootd: here: only options are taken here; see pybootd check --help")
        self.assertEqual(fifth, "pybootd: Unknown command: chekc; did you mean check? see pybootd --help")

    def test_words_that_mean_nothing(self) -> None:
        """What only the command itself can judge is wrong usage as well, in one line."""

        def judge(options: object, flags: object) -> int:
            raise usage.UsageError("nonsense")

        self.patch(inspect, "check", judge)
        err = StringIO()
        self.patch(sys, "stderr", err)
        self.assertEqual(self.assertRaises(SystemExit, main, ["check"]).code, 2)
        self.assertEqual(err.getvalue(), "pybootd: nonsense; see pybootd check --help\n")

    def test_help(self) -> None:
        """The help of a command begins with how that one is used; the version is pybootd's."""
        for name in COMMANDS:
            out = StringIO()
            self.patch(sys, "stdout", out)
            self.assertEqual(self.assertRaises(SystemExit, main, [name, "--help"]).code, 0)
            self.assertTrue(out.getvalue().startswith(f"Usage: pybootd {name}"), out.getvalue())
            self.assertEqual(out.getvalue().count("Usage:"), 1)
            self.assertNotIn("Twisted", out.getvalue())
            does = "Boots a virtual machine" if name == "demo" else COMMANDS[name].does
            self.assertIn(does, " ".join(out.getvalue().split()), name)

    def test_reader_gone(self) -> None:
        """Whoever reads the output may stop reading."""
        source = (
            "import os, sys\n"
            "reader, writer = os.pipe()\n"
            "os.close(reader)\n"
            "os.dup2(writer, 1)\n"
            "from pybootd.cli import main\n"
            "main(['--help'])\n"
        )
        for flags in ([], ["-u"]):
            done = subprocess.run([sys.executable, *flags, "-c", source], capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), flags)
