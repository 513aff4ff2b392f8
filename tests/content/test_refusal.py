"""Refusals as iPXE shows them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.refusal import script


class ScriptTests(SynchronousTestCase):
    """L{script}"""

    def test_script(self) -> None:
        """It says the reason, waits, and fails."""
        lines = script("[mac] blocks 52:54:00").decode().splitlines()
        self.assertEqual((lines[0], lines[-1]), ("#!ipxe", "exit 1"))
        self.assertIn("echo [mac] blocks 52:54:00", lines)

    def test_harmless(self) -> None:
        """Nothing in a reason is a command: no lines, variables, quotes or operators, and no end."""
        text = script('a\n&& reboot || ${x} "q" \\ \x1b[2J \u00e9' + "x" * 5000).decode()
        self.assertEqual(len(text.splitlines()), len(script("").decode().splitlines()))
        self.assertLess(len(text), 400)
        for character in '&|$"\\\x1b\u00e9':
            self.assertNotIn(character, text)
