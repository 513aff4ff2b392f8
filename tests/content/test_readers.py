"""L{pybootd.content.readers}."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.readers import SharedBody


class Download:
    """A download of which the test decides what is here."""

    def __init__(self) -> None:
        self.content = b""
        self.waiting: list[tuple[int, Callable[[], None]]] = []
        self.discarded = 0
        self.left = 0

    def read(self, offset: int, length: int) -> bytes | None:
        """What is here."""
        return self.content[offset : offset + length] or None

    def wait(self, end: int, ready: Callable[[], None]) -> None:
        """Somebody waits."""
        self.waiting.append((end, ready))

    def discard(self, offset: int) -> None:
        """Not needed any more."""
        self.discarded = offset

    def leave(self) -> None:
        """A reader less."""
        self.left += 1


class SharedBodyTests(SynchronousTestCase):
    """A reader of a download."""

    def setUp(self) -> None:
        """Two readers."""
        self.download = Download()
        self.one, self.other = SharedBody(self.download), SharedBody(self.download)
        self.woken: list[str] = []

    def test_waits(self) -> None:
        """It waits for the end of what it asked for last."""
        self.assertIsNone(self.one.read(10, 20))
        self.one.wait(lambda: self.woken.append("one"))
        ((end, ready),) = self.download.waiting
        self.assertEqual(end, 30)
        ready()
        self.assertEqual(self.woken, ["one"])

    def test_closed(self) -> None:
        """Who has left is not woken any more, and leaves once; the other one goes on."""
        for body, name in ((self.one, "one"), (self.other, "other")):
            body.read(0, 4)
            body.wait(lambda name=name: self.woken.append(name))  # type: ignore[misc]
        self.one.close()
        self.one.close()
        self.assertEqual(self.download.left, 1)
        for _, ready in self.download.waiting:
            ready()
        self.assertEqual(self.woken, ["other"])
        self.download.content = b"content"
        self.assertEqual(self.other.read(0, 4), b"cont")

    def test_no_file(self) -> None:
        """There is no descriptor; what is given up is handed on."""
        self.assertIsNone(self.one.fileno())
        self.one.discard(7)
        self.assertEqual(self.download.discarded, 7)
