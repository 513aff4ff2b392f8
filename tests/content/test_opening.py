"""Files opened where nobody waits for their disk; the disk is the test's."""

from __future__ import annotations

import errno
import os

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content import opening
from pybootd.content.content import Content
from pybootd.content.local import KEPT
from pybootd.content.opening import DIRECTORIES, WAITING, ServedFiles
from pybootd.errors import NotFound, SourceFailed
from tests.support.tree import Tree, open_descriptors
from tests.support.web import Threads


class OpeningCase(SynchronousTestCase):
    """L{ServedFiles}, and their disk."""

    def setUp(self) -> None:
        self.tree = Tree(self.mktemp())
        for directory in ("a", "b"):
            self.tree.write(f"{directory}/file", b"data")
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors leaked"))
        self.clock, self.threads = Clock(), Threads()
        self.threads.held = True
        self.error = errno.EAGAIN
        self.looked: list[bytes] = []
        self.distant = False
        self.patch(opening, "is_distant", lambda device: self.distant)
        self.files = ServedFiles(self.threads, self.clock.callLater, self.lookup)
        self.addCleanup(self.threads.run)
        self.addCleanup(self.clock.advance, KEPT)

    def lookup(self, path: bytes) -> int:
        self.looked.append(path)
        return self.error


class OpeningTests(OpeningCase):
    """Files to be served."""

    def ask(self, name: str = "a/file", ignore_case: bool = False) -> Content | Deferred[Content]:
        return self.files.ask(str(self.tree.root), name, ignore_case)

    def now(self, name: str = "a/file", ignore_case: bool = False) -> Content:
        """It is opened at once."""
        content = self.ask(name, ignore_case)
        assert isinstance(content, Content), "it is waited for"
        return content

    def later(self, name: str = "a/file", ignore_case: bool = False) -> Deferred[Content]:
        """A thread opens it."""
        asked = self.ask(name, ignore_case)
        assert isinstance(asked, Deferred), "it was opened at once"
        self.assertNoResult(asked)
        return asked

    def test_known(self) -> None:
        """A file whose directories are in memory is opened at once; so is one that is known not to be there."""
        self.error = 0
        self.now().body.close()
        self.assertEqual(self.looked, [os.fsencode(self.tree.root / "a" / "file")])
        self.error = errno.ENOENT
        self.assertRaises(NotFound, self.ask, "a/none")

    def test_unknown(self) -> None:
        """Of another one a thread finds out what it is, or that it is not there."""
        asked = self.later()
        self.threads.run()
        content = self.successResultOf(asked)
        self.assertEqual((content.size, content.body.read(0, 10)), (4, b"data"))
        content.body.close()
        missing, outside = self.later("a/none"), self.later("../secret")
        self.threads.run()
        self.failureResultOf(missing, NotFound)
        self.failureResultOf(outside, NotFound)

    def test_case(self) -> None:
        """Where a name in another case will do, a whole directory has to be read: not here."""
        self.error = errno.ENOENT
        asked = self.later("A/FILE", ignore_case=True)
        self.threads.run()
        self.successResultOf(asked).body.close()
        self.error = 0
        self.now("b/file", ignore_case=True).body.close()

    def test_open(self) -> None:
        """A file that is open already is not looked for again; all its readers share one descriptor."""
        first, second = self.later(), self.later()
        self.threads.run()
        one, two = self.successResultOf(first), self.successResultOf(second)
        three = self.now()
        self.assertEqual({one.body.fileno(), two.body.fileno()}, {three.body.fileno()})
        self.assertEqual(len(self.looked), 2)
        for content in (one, two, three):
            content.body.close()

    def test_distant(self) -> None:
        """In the directories of network file systems, and only there, a thread asks for each file, an open one too."""
        self.error, self.distant = 0, True
        first = self.now()
        asked = self.later()
        first.body.close()
        self.clock.advance(KEPT)
        self.threads.run()
        second = self.successResultOf(asked)
        self.assertEqual(second.body.fileno(), first.body.fileno())
        self.tree.write("a/new", b"longer data")
        os.replace(self.tree.root / "a" / "new", self.tree.root / "a" / "file")  # noqa: PTH105
        changed = self.later()
        self.threads.run()
        third = self.successResultOf(changed)
        self.assertEqual((second.body.read(0, 100), third.body.read(0, 100)), (b"data", b"longer data"))
        second.body.close()
        third.body.close()
        self.distant = False
        self.now("b/file").body.close()

    def test_distant_close(self) -> None:
        """A thread closes a file of such a file system, too: whose it is, is asked and may not answer."""
        self.error, self.distant = 0, True
        content = self.now()
        content.body.close()
        before = open_descriptors()
        self.clock.advance(KEPT)
        self.assertEqual(open_descriptors(), before)
        self.threads.run()
        self.assertEqual(open_descriptors(), before - 1)

    def test_memory(self) -> None:
        """So many directories are kept in mind, and no more."""
        self.error, self.distant = 0, True
        content = self.now()
        shared = next(iter(self.files._shared.values()))
        for number in range(DIRECTORIES + 10):
            self.files._keep((str(self.tree.root), f"{number}/file", False), *self.again(shared.fd))
        self.assertEqual(len(self.files._distant), DIRECTORIES)
        content.body.close()
        for other in tuple(self.files._shared.values()):
            if other is not shared:
                self.files._close(other)

    def again(self, fd: int) -> tuple[int, str, os.stat_result]:
        """The same once more."""
        return os.dup(fd), "again", os.fstat(fd)

    def test_nobody_waits(self) -> None:
        """What a client that has gone had asked for is closed as soon as it is open."""
        gone, failed = self.later(), self.later("a/none")
        gone.cancel()
        failed.cancel()
        self.failureResultOf(gone, CancelledError)
        self.failureResultOf(failed, CancelledError)
        self.threads.run()
        self.assertEqual(self.files._waiting, 0)

    def test_ceiling(self) -> None:
        """A disk that does not answer has a queue of bounded length; when it answers, all is as before."""
        asked = [self.later(f"a/{number}") for number in range(WAITING)]
        self.assertRaises(SourceFailed, self.ask)
        self.threads.run()
        for one in asked:
            self.failureResultOf(one, NotFound)
        last = self.later()
        self.threads.run()
        self.successResultOf(last).body.close()


class ReadingTests(OpeningCase):
    """The first bytes of a file that says what is to be served."""

    def read(self, name: str = "a/file") -> bytes | Deferred[bytes]:
        return self.files.ask_read(str(self.tree.root), name, 3)

    def wait(self, name: str = "a/file") -> Deferred[bytes]:
        asked = self.read(name)
        assert isinstance(asked, Deferred), "it was read at once"
        self.assertNoResult(asked)
        return asked

    def test_here(self) -> None:
        """What is in memory is read at once, as are errors."""
        self.error = 0
        self.patch(opening, "is_cached", lambda *_: True)
        self.assertEqual(self.read(), b"dat")
        self.assertRaises(NotFound, self.read, "a/none")

    def test_cold(self) -> None:
        """A thread reads where the way is not in memory, the file is not, or it is another host's."""
        ways = [self.wait(), self.wait("a/none")]
        self.error = 0
        self.patch(opening, "is_cached", lambda *_: False)
        ways.append(self.wait())
        self.patch(opening, "is_cached", lambda *_: True)
        self.distant = True
        ways.append(self.wait())
        self.looked.clear()
        ways.append(self.wait())
        self.assertEqual(self.looked, [], "the directory was not kept in mind")
        self.threads.run()
        self.failureResultOf(ways.pop(1), NotFound)
        self.assertEqual([self.successResultOf(way) for way in ways], [b"dat"] * 4)

    def test_ceiling(self) -> None:
        """So many wait, and no more, though nobody wants the answer any more."""
        for _ in range(WAITING):
            asked = self.wait()
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
        self.assertRaises(SourceFailed, self.read)
        self.error, self.distant = 0, True
        self.assertRaises(SourceFailed, self.read)
        self.threads.run()
        self.wait()
