"""The length of a boot file, for those who cannot wait for it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.content import Content, from_bytes
from pybootd.content.sizes import ASKING, KEPT, KNOWN, Sizes
from pybootd.errors import NotFound, SourceFailed
from pybootd.machine import Machine

ONE, OTHER = Machine("52:54:00:00:00:01"), Machine("52:54:00:00:00:02")


class Files:
    """A resolver: what it is told to have, now or later."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.waiting: list[Deferred[Content]] = []
        self.remote = self.slow = False

    def url_of(self, name: str, machine: Machine) -> str | None:
        if not self.remote:
            return None
        return f"http://mirror/{machine.mac}" if name == "own" else f"http://mirror/{name}"

    def resolve(self, name: str, machine: Machine) -> Any:
        self.asked.append((name, machine.mac))
        if name == "gone":
            raise NotFound("gone")
        if not self.remote and not self.slow:
            return from_bytes(name, b"12345")
        self.waiting.append(Deferred())
        return self.waiting[-1]


class SizesTests(SynchronousTestCase):
    """L{Sizes}"""

    def setUp(self) -> None:
        self.clock, self.files = Clock(), Files()
        self.sizes = Sizes(self.files, self.clock.seconds)  # type: ignore[arg-type]

    def test_local(self) -> None:
        """A local file is looked at each time: it may have changed."""
        self.assertEqual([self.sizes.size_of("a", ONE) for _ in range(2)], [5, 5])
        self.assertEqual(len(self.files.asked), 2)

    def test_local_elsewhere(self) -> None:
        """Nor is the disk of a local one waited for: what was found last is told, as long as that is not long ago."""
        self.files.slow = True
        self.assertEqual([self.sizes.size_of("a", ONE) for _ in range(2)], [None, None])
        self.assertEqual(len(self.files.asked), 1)
        self.files.waiting.pop().callback(from_bytes("a", b"123"))
        self.assertEqual([self.sizes.size_of("a", ONE) for _ in range(2)], [3, 3])
        self.files.waiting.pop().errback(NotFound("gone"))
        self.assertIsNone(self.sizes.size_of("a", ONE))
        self.files.waiting.pop().callback(from_bytes("a", b"1234"))
        self.assertEqual(self.sizes.size_of("a", ONE), 4)
        self.clock.advance(KEPT)
        self.assertIsNone(self.sizes.size_of("a", ONE))
        self.files.slow = False
        self.assertEqual(self.sizes.size_of("a", OTHER), 5)

    def test_missing(self) -> None:
        """Of a file that is not there nothing is said."""
        self.assertIsNone(self.sizes.size_of("gone", ONE))

    def test_remote(self) -> None:
        """A remote file is asked for once; from the next request on its length is known, for a while."""
        self.files.remote = True
        self.assertEqual([self.sizes.size_of("a", ONE) for _ in range(2)], [None, None])
        self.files.waiting[0].callback(from_bytes("a", b"123"))
        self.assertEqual([self.sizes.size_of("a", ONE) for _ in range(2)], [3, 3])
        self.clock.advance(KEPT)
        self.assertIsNone(self.sizes.size_of("a", ONE))

    def test_machines(self) -> None:
        """Machines that are meant the same file cause one question, however many; another file is another matter."""
        self.files.remote = True
        self.assertEqual([self.sizes.size_of("a", machine) for machine in (ONE, OTHER)], [None, None])
        self.files.waiting[0].callback(from_bytes("a", b"123"))
        self.assertEqual([self.sizes.size_of("a", machine) for machine in (ONE, OTHER)], [3, 3])
        self.assertEqual(len(self.files.asked), 1)
        self.assertEqual([self.sizes.size_of("own", machine) for machine in (ONE, OTHER)], [None, None])
        self.assertEqual(len(self.files.waiting), 3)

    def test_remote_fails(self) -> None:
        """A remote that fails is left alone for a while."""
        self.files.remote = True
        self.sizes.size_of("a", ONE)
        self.files.waiting[0].errback(SourceFailed("down"))
        self.assertIsNone(self.sizes.size_of("a", ONE))
        self.assertEqual(len(self.files.asked), 1)

    def test_bounded(self) -> None:
        """Few questions at once, and few answers kept."""
        self.files.remote = True
        for number in range(ASKING + 5):
            self.sizes.size_of(str(number), ONE)
        self.assertEqual(len(self.files.waiting), ASKING)
        for _ in range(KNOWN):
            for waiting in self.files.waiting:
                waiting.callback(from_bytes("a", b"1"))
            self.files.waiting.clear()
            self.sizes.size_of(str(len(self.files.asked) + 100), ONE)
        self.assertLessEqual(len(self.sizes._known), KNOWN)
