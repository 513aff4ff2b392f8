"""The command says what it cannot do."""

from __future__ import annotations

from pathlib import Path

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from pybootd.demo import command
from pybootd.demo.command import DemoOptions, demo
from pybootd.errors import EnvironmentProblem


class DemoTests(SynchronousTestCase):
    """C{pybootd demo}"""

    def options(self, *words: str) -> DemoOptions:
        options = DemoOptions()
        options.parseOptions(list(words))
        return options

    def test_firmware(self) -> None:
        """There are two kinds of firmware; the usual one is BIOS."""
        self.assertEqual(self.options()["firmware"], "bios")
        self.assertEqual(self.options("--firmware", "uefi")["firmware"], "uefi")
        error = self.assertRaises(usage.UsageError, self.options, "--firmware", "efi")
        self.assertIn("bios or uefi", str(error))

    def test_missing(self) -> None:
        """What is missing here is said before anything is started."""
        self.patch(command.platform, "machine", lambda: "x86_64")
        empty = Path(self.mktemp())
        options = self.options("--system", str(empty))
        error = self.assertRaises(EnvironmentProblem, demo, options, options.flags())
        self.assertIn("a Linux kernel for PCs", str(error))

    def test_other_processor(self) -> None:
        """The machine is a PC, and boots this host's kernel and busybox."""
        self.patch(command.platform, "machine", lambda: "aarch64")
        options = self.options()
        error = self.assertRaises(EnvironmentProblem, demo, options, options.flags())
        self.assertIn("needs a PC", str(error))

    def test_elsewhere(self) -> None:
        """There are no network namespaces but on Linux."""
        self.patch(command.sys, "platform", "darwin")
        options = self.options()
        error = self.assertRaises(EnvironmentProblem, demo, options, options.flags())
        self.assertIn("needs Linux", str(error))
