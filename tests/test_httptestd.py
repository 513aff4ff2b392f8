"""The test access server says what its configuration says."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.access.remote import named
from tests.httptestd import CONFIG, answer, load


class AnswerTests(SynchronousTestCase):
    """Its own C{config.ini}."""

    def setUp(self) -> None:
        self.config = load(CONFIG)

    def test_granted(self) -> None:
        """A machine that is listed is granted on both paths, and its names are understood by the other side."""
        for path in ("/boot", "/linux"):
            status, body = answer(self.config, f"{path}?mac=AA-BB-CC-DD-EE-FF&uuid=x")
            self.assertEqual((status, named(body.encode())), (200, ("node-7", "pxelinux.0")), path)

    def test_ignored(self) -> None:
        """A machine that is blocked, or not listed, is ignored."""
        for mac in ("AA-BB-CC-DD-EE-00", "AA-BB-CC-DD-EE-01"):
            self.assertEqual(answer(self.config, f"/boot?mac={mac}"), (401, ""), mac)

    def test_nonsense(self) -> None:
        """Other paths, and questions about nobody, are neither."""
        for target, status in (("/none?mac=AA-BB-CC-DD-EE-FF", 404), ("/boot", 400), ("httpd?mac=1", 404)):
            self.assertEqual(answer(self.config, target)[0], status, target)
