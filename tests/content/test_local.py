"""Files below a directory."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content import local
from pybootd.content.content import Content
from pybootd.content.local import IDLE, KEPT, PIECE, LocalFiles, is_cached, load
from pybootd.errors import NotFound, SourceFailed
from tests.support.tree import Tree, open_descriptors


class LocalCase(SynchronousTestCase):
    """A tree and what opens files in it."""

    def setUp(self) -> None:
        self.tree = Tree(self.mktemp())
        self.files = LocalFiles()
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors leaked"))

    def open(self, name: str, **options: Any) -> Content:
        content = self.files.open(str(self.tree.root), name, **options)
        self.addCleanup(content.body.close)
        return content

    def data(self, name: str, **options: Any) -> bytes | None:
        content = self.open(name, **options)
        assert content.size is not None
        return content.body.read(0, content.size)


class OpenTests(LocalCase):
    """What a file is to its reader."""

    def test_file(self) -> None:
        """A file is described and read."""
        path = self.tree.write("a/b", b"0123456789")
        os.utime(path, ns=(5 * 10**9, 7 * 10**9))
        content = self.open("a/b")
        self.assertEqual((content.source, content.size, content.modified), (str(path), 10, 7.0))
        self.assertEqual(content.etag, f"{7 * 10**9:x}-a")
        self.assertEqual(content.body.read(3, 4), b"3456")
        self.assertEqual(content.body.read(8, 4), b"89")
        self.assertEqual(content.body.read(10, 4), b"")
        self.assertEqual(content.body.read(99, 4), b"")

    def test_small_file(self) -> None:
        """L{LocalFiles.read} reads the beginning of a small file."""
        self.tree.write("name", b"pxelinux.0\n")
        self.assertEqual(self.files.read(str(self.tree.root), "name", 4), b"pxel")
        with self.assertRaises(NotFound):
            self.files.read(str(self.tree.root), "../secret", 4)


class SharingTests(LocalCase):
    """Readers of one unchanged file share a descriptor."""

    def test_shared(self) -> None:
        """A second reader costs no descriptor, and may stay longer than the first."""
        self.tree.write("file", b"data")
        first, second = self.open("file"), self.open("file")
        self.assertEqual(first.body.fileno(), second.body.fileno())
        first.body.close()
        first.body.close()
        self.assertEqual(second.body.read(0, 4), b"data")

    def test_replaced(self) -> None:
        """A file that was replaced is opened anew; who had the old one reads the old one to its end."""
        path = self.tree.write("file", b"old")
        old = self.open("file")
        other = self.tree.write("other", b"new!")
        other.replace(path)
        new = self.open("file")
        self.assertEqual((old.body.read(0, 9), new.body.read(0, 9)), (b"old", b"new!"))
        self.assertNotEqual(old.etag, new.etag)
        old.body.close()
        self.assertEqual(self.open("file").body.fileno(), new.body.fileno())

    def test_removed(self) -> None:
        """A file that was removed is not there, though somebody still reads it."""
        path = self.tree.write("file", b"data")
        old = self.open("file")
        path.unlink()
        with self.assertRaises(NotFound):
            self.open("file")
        self.assertEqual(old.body.read(0, 4), b"data")

    def test_turned_into_a_link_out(self) -> None:
        """That a file is open already does not let a link to elsewhere pass."""
        path = self.tree.write("file", b"data")
        self.open("file")
        path.unlink()
        path.symlink_to(self.tree.top / "secret")
        with self.assertRaises(NotFound):
            self.open("file")

    def test_closed(self) -> None:
        """After the last reader nothing is kept."""
        self.tree.write("file", b"data")
        self.open("file").body.close()
        self.assertEqual(self.files._shared, {})


class AdoptionTests(LocalCase):
    """Files that another process opened."""

    def test_adopt(self) -> None:
        """Descriptors of one file become one; that of another, or of the changed one, stays its own."""
        path = self.tree.write("file", b"content")
        files = LocalFiles()
        before = open_descriptors()
        one, two = (files.adopt(os.open(path, os.O_RDONLY)) for _ in range(2))
        self.assertEqual(one.body.fileno(), two.body.fileno())
        self.assertEqual((two.size, two.body.read(0, 100)), (7, b"content"))
        path.write_bytes(b"longer content")
        three = files.adopt(os.open(path, os.O_RDONLY))
        self.assertNotEqual(one.body.fileno(), three.body.fileno())
        self.assertEqual(open_descriptors(), before + 2)
        for content in (one, two, three):
            content.body.close()
        self.assertEqual(open_descriptors(), before)


class KeptOpenTests(LocalCase):
    """A file stays open for a moment after its last reader."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.files = LocalFiles(call_later=self.clock.callLater)
        self.addCleanup(self.clock.advance, KEPT)

    def test_kept(self) -> None:
        """The next reader finds it open; when nobody comes it is closed, and no timer runs."""
        self.tree.write("file", b"data")
        fd = self.open("file").body
        fd.close()
        again = self.open("file").body
        self.assertEqual((again.fileno(), again.read(0, 4)), (fd.fileno(), b"data"))
        self.clock.advance(KEPT)
        self.assertEqual(again.read(0, 4), b"data")
        before = open_descriptors()
        again.close()
        self.assertEqual(open_descriptors(), before)
        self.clock.advance(KEPT)
        self.assertEqual((open_descriptors(), self.clock.getDelayedCalls()), (before - 1, []))

    def test_often(self) -> None:
        """However often a file comes and goes, one timer runs for it."""
        self.tree.write("file", b"data")
        for _ in range(5):
            self.open("file").body.close()
            self.clock.advance(KEPT / 10)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        again = self.open("file").body
        self.clock.advance(KEPT)
        again.close()
        before = open_descriptors()
        self.clock.advance(KEPT)
        self.assertEqual(open_descriptors(), before - 1)

    def test_changed(self) -> None:
        """What has changed, gone or become a link meanwhile is not served from it."""
        path = self.tree.write("file", b"data")
        self.open("file").body.close()
        path.write_bytes(b"more data")
        self.assertEqual(self.data("file"), b"more data")
        path.unlink()
        path.symlink_to(self.tree.top / "secret")
        with self.assertRaises(NotFound):
            self.data("file")
        path.unlink()
        with self.assertRaises(NotFound):
            self.data("file")

    def test_bounded(self) -> None:
        """No more than agreed are kept."""
        before = open_descriptors()
        for number in range(IDLE + 5):
            self.tree.write(str(number), b"data")
            self.open(str(number)).body.close()
        self.assertEqual(open_descriptors(), before + IDLE)


class ColdTests(LocalCase):
    """What is not in memory is read in a thread; here the thread runs when the test says so."""

    def setUp(self) -> None:
        super().setUp()
        self.jobs: list[tuple[Deferred[Any], Callable[[], Any]]] = []
        self.files = LocalFiles(self.in_thread)
        self.cold = True
        self.patch(os, "preadv", self.preadv)

    def in_thread(self, job: Callable[[], Any]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.jobs.append((done, job))
        return done

    def run_jobs(self) -> None:
        jobs, self.jobs = self.jobs, []
        for done, job in jobs:
            execute(job).chainDeferred(done)

    def preadv(self, fd: int, buffers: list[bytearray], offset: int, flags: int = 0) -> int:
        if self.cold:
            raise BlockingIOError(errno.EAGAIN, "cold")
        data = os.pread(fd, len(buffers[0]), offset)
        buffers[0][: len(data)] = data
        return len(data)

    def test_waits(self) -> None:
        """Cold bytes are not there at first; they are when L{wait} calls, even if they grew cold again."""
        self.tree.write("file", b"0123456789")
        body = self.open("file").body
        ready: list[bool] = []
        self.assertIsNone(body.read(2, 4))
        body.wait(lambda: ready.append(True))
        self.assertEqual(ready, [])
        self.run_jobs()
        self.assertEqual(ready, [True])
        self.assertEqual(body.read(2, 4), b"2345")
        self.assertEqual(body.read(3, 2), b"34")
        body.discard(6)
        self.assertIsNone(body.read(6, 4))

    def test_warm(self) -> None:
        """Warm bytes are there at once."""
        self.cold = False
        self.tree.write("file", b"0123456789")
        self.assertEqual(self.open("file").body.read(2, 4), b"2345")

    def test_closed_meanwhile(self) -> None:
        """A reader that leaves while a thread reads leaves nothing open, and no stranger's descriptor is read."""
        self.tree.write("file", b"0123456789")
        body = self.open("file").body
        self.assertIsNone(body.read(0, 4))
        body.wait(lambda: None)
        body.close()
        os.fstat(body.fileno() or -1)
        self.run_jobs()
        with self.assertRaises(OSError):
            os.fstat(body.fileno() or -1)

    def test_became_shorter(self) -> None:
        """A file that lost its end fails, then and later."""
        path = self.tree.write("file", b"0123456789")
        body = self.open("file").body
        path.write_bytes(b"01")
        self.assertIsNone(body.read(0, 10))
        body.wait(lambda: None)
        self.run_jobs()
        for _ in range(2):
            with self.assertRaises(SourceFailed):
                body.read(0, 10)

    def test_cannot_tell(self) -> None:
        """Where the kernel knows no C{RWF_NOWAIT} bytes are read directly if all is memory, else in a thread."""
        path = self.tree.write("file", b"0123456789")
        self.patch(os, "preadv", lambda *_: (_ for _ in ()).throw(OSError(errno.EOPNOTSUPP, "no")))
        fd = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        for memory in (False, True):
            self.patch(local, "in_memory", lambda _, memory=memory: memory)
            self.assertEqual(is_cached(fd, 2, 4), memory)
            body = self.open("file").body
            ready: list[bool] = []
            if not memory:
                self.assertIsNone(body.read(2, 4))
                body.wait(lambda ready=ready: ready.append(True))
                self.run_jobs()
                self.assertEqual(ready, [True])
            self.assertEqual(body.read(2, 4), b"2345")

    def test_load(self) -> None:
        """L{load} outlives the descriptor that it was given, and reads all that it was told to."""
        path = self.tree.write("file", bytes(3 * PIECE))
        fd, real, read = os.open(path, os.O_RDONLY), os.pread, set[int]()

        def pread(file: int, length: int, offset: int) -> bytes:
            data = real(file, length, offset)
            read.update(range(offset, offset + len(data)))
            return data

        self.assertFalse(is_cached(fd, 0, 10))
        loaded = load(self.in_thread, fd, 100, 2 * PIECE)
        os.close(fd)
        self.patch(os, "pread", pread)
        self.run_jobs()
        self.successResultOf(loaded)
        self.assertEqual(read, set(range(100, 100 + 2 * PIECE)))
