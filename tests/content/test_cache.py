"""Remote files through the store."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pybootd.content import growing, local
from pybootd.content.cache import BROKEN, FRESH, CachedSource
from pybootd.content.content import Content
from pybootd.content.fetch import Patience
from pybootd.content.growing import ABANDONED, PENDING
from pybootd.content.local import LocalFiles
from pybootd.content.store import Store
from pybootd.errors import NotFound, SourceFailed
from pybootd.interfaces import IFileSource
from tests.support.tree import open_descriptors
from tests.support.web import FakeFetcher, Internet, Request, Response, Threads

URL = "http://mirror/vmlinuz"
DATE = "Thu, 01 Jan 1970 00:01:40 GMT"
DATA = bytes(range(256)) * 4


class CacheCase(SynchronousTestCase):
    """A cached source, its disk and the Internet that it sees."""

    def setUp(self) -> None:
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors leaked"))
        self.clock = Clock()
        self.clock.advance(1e9)
        self.internet = Internet()
        self.threads = Threads()
        self.patch(local, "in_memory", lambda _: True)  # wherever the tests run
        self.directory = Path(self.mktemp()).absolute()
        self.start()
        self.addCleanup(lambda: self.store.close())

    def start(self, limit: int = 1 << 20) -> None:
        """A server begins."""
        self.store = Store(self.directory, limit)
        self.store.open()
        fetcher = FakeFetcher(self.clock, self.internet, patience=Patience(stall=300))
        self.source = CachedSource(fetcher, self.store, LocalFiles(), self.threads)

    def restart(self, **options: Any) -> None:
        """It stops in order, and begins again."""
        stopped = self.source.close()
        self.threads.run()
        self.successResultOf(stopped)
        self.store.close()
        self.start(**options)

    def open(self) -> tuple[Deferred[Content], Request]:
        opened = self.source.open(URL)
        return opened, self.internet.request()

    def begin(self, length: int | None = len(DATA), **fields: str) -> tuple[Content, Response]:
        """A first reader, and the answer that it is served from."""
        opened, request = self.open()
        response = request.answer(200, length=length, **fields)
        return self.successResultOf(opened), response

    def fetch(self, data: bytes = DATA, **fields: str) -> None:
        """A whole file goes into the store."""
        opened, request = self.open()
        self.assertEqual(self.unconditional(request), True)
        request.answer(200, data, **({"ETag": '"1"'} | fields))
        self.assertEqual(self.read(self.successResultOf(opened)), data)

    def read(self, content: Content) -> bytes | None:
        """All of a content, which must be here."""
        try:
            return content.body.read(0, content.size or 0)
        finally:
            content.body.close()

    @staticmethod
    def unconditional(request: Request) -> bool:
        return not {"If-None-Match", "If-Modified-Since", "Range", "If-Range"} & set(request.fields)


class KeptTests(CacheCase):
    """A file that is here is asked after, and not fetched again."""

    def test_interface(self) -> None:
        """It is a source like any plugin's."""
        verifyObject(IFileSource, self.source)

    def test_fresh(self) -> None:
        """Right after it was fetched it is served without a question, from a descriptor of its own."""
        self.fetch(Last_Modified=DATE)
        content = self.successResultOf(self.source.open(URL))
        self.assertEqual((content.source, content.size, content.etag, content.modified), (URL, len(DATA), "1", 100.0))
        self.assertIsNotNone(content.body.fileno())
        self.assertEqual(self.read(content), DATA)
        self.assertEqual(self.internet.requests, [])

    def test_validated(self) -> None:
        """Later, and after a restart, the server is asked whether it is still right."""
        self.fetch(Last_Modified=DATE)
        for again in (lambda: self.clock.advance(FRESH), self.restart):
            again()
            opened, request = self.open()
            self.assertEqual((request.fields["If-None-Match"], request.fields["If-Modified-Since"]), ('"1"', DATE))
            request.answer(304, b"")
            self.assertEqual(self.read(self.successResultOf(opened)), DATA)
            self.assertEqual(self.read(self.successResultOf(self.source.open(URL))), DATA)

    def test_storm(self) -> None:
        """Many who ask at once cause one question."""
        self.fetch()
        self.clock.advance(FRESH)
        opened = [self.source.open(URL) for _ in range(5)]
        self.internet.request().answer(304, b"")
        self.assertEqual(self.internet.requests, [])
        for each in opened:
            self.assertEqual(self.read(self.successResultOf(each)), DATA)

    def test_changed(self) -> None:
        """A new version is fetched, while who reads the old one reads the old one."""
        self.fetch()
        old = self.successResultOf(self.source.open(URL))
        self.clock.advance(FRESH)
        opened, request = self.open()
        request.answer(200, b"new", ETag='"2"')
        self.assertEqual(self.read(self.successResultOf(opened)), b"new")
        self.assertEqual(self.read(old), DATA)
        self.assertEqual(self.read(self.successResultOf(self.source.open(URL))), b"new")

    def test_gone(self) -> None:
        """What the server no longer has is thrown away."""
        self.fetch()
        self.clock.advance(FRESH)
        opened, request = self.open()
        request.answer(404, b"")
        self.failureResultOf(opened, NotFound)
        self.assertIsNone(self.store.find(URL))

    def test_server_down(self) -> None:
        """While the server cannot be asked, or fails, what is here is served: machines go on booting."""
        self.fetch()
        for fail in (lambda r: r.fail(ConnectionRefusedError()), lambda r: r.answer(500, b"")):
            self.clock.advance(FRESH)
            opened, request = self.open()
            fail(request)
            self.assertEqual(self.read(self.successResultOf(opened)), DATA)

    def test_server_down_and_nothing_here(self) -> None:
        """Without a copy its failure is ours."""
        opened, request = self.open()
        request.fail(ConnectionRefusedError())
        self.failureResultOf(opened, SourceFailed)

    def test_corrupted(self) -> None:
        """A copy that somebody changed is fetched again."""
        self.fetch()
        (path,) = self.directory.glob("*.data")
        path.write_bytes(b"changed")
        self.fetch()

    def test_dropped_meanwhile(self) -> None:
        """A copy that went while the server was asked is fetched."""
        self.fetch()
        self.clock.advance(FRESH)
        opened, request = self.open()
        self.store.drop(URL)
        request.answer(304, b"")
        self.internet.request().answer(200, DATA)
        self.assertEqual(self.read(self.successResultOf(opened)), DATA)


class GrowingTests(CacheCase):
    """One download, and all who follow it."""

    def test_followed(self) -> None:
        """Readers get bytes as soon as these are on disk, whenever they joined."""
        first, response = self.begin()
        self.assertIsNone(first.body.fileno())
        self.assertIsNone(first.body.read(0, 10))
        ready: list[int] = []
        first.body.wait(lambda: ready.append(1))
        response.send(DATA[:300])
        self.assertEqual((ready, first.body.read(0, 10)), ([1], DATA[:10]))
        second = self.successResultOf(self.source.open(URL))
        self.assertEqual(second.body.read(200, 100), DATA[200:300])
        self.assertIsNone(second.body.read(200, 101))
        second.body.wait(lambda: ready.append(2))
        response.send(DATA[300:])
        response.finish()
        self.assertEqual(ready, [1, 2])
        for content in (first, second):
            self.assertEqual(content.body.read(1000, 100), DATA[1000:])
            self.assertEqual(content.body.read(len(DATA), 100), b"")
            content.body.close()
        self.assertEqual(self.internet.requests, [])

    def test_slow_disk(self) -> None:
        """A disk that cannot keep up holds the server back, not the memory."""
        self.restart(limit=100 * PENDING)
        self.threads.held = True
        content, response = self.begin(10 * PENDING)
        piece = b"x" * 65536
        response.send(piece)
        sent = 0
        while not response.connection.paused:
            response.send(piece)
            sent += len(piece)
        self.assertEqual(sent, PENDING)
        self.assertIsNone(content.body.read(0, 1))
        self.threads.run()
        self.assertFalse(response.connection.paused)
        self.assertEqual(content.body.read(0, 1), b"x")
        content.body.close()
        self.restart()

    def test_cold(self) -> None:
        """What has left the memory since it was written is read by a thread, though the reader leaves meanwhile."""
        stays, response = self.begin()
        leaves = self.successResultOf(self.source.open(URL))
        response.send(DATA[:300])
        self.threads.held = True
        ready: list[str] = []
        with patch("os.preadv", side_effect=BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")):
            for name, content in (("stays", stays), ("leaves", leaves)):
                self.assertIsNone(content.body.read(0, 300))
                content.body.wait(partial(ready.append, name))
            leaves.body.close()
            self.assertEqual(ready, [])
            self.threads.run()
            self.assertIn("stays", ready)
            self.assertEqual(stays.body.read(0, 300), DATA[:300])
        response.send(DATA[300:])
        response.finish()
        self.threads.run()
        self.assertEqual(self.read(stays), DATA)

    def test_lying_length(self) -> None:
        """A server that sends less than it said, and calls that all, is found out."""
        content, response = self.begin()
        response.send(DATA[:10])
        response.finish()
        with self.assertRaises(SourceFailed):
            content.body.read(0, 10)
        content.body.close()
        self.assertEqual((self.store.find(URL), self.store.part(URL)), (None, None))

    def test_empty(self) -> None:
        """A file without bytes is a file."""
        self.fetch(b"")
        self.assertEqual(self.read(self.successResultOf(self.source.open(URL))), b"")

    def test_size_probe(self) -> None:
        """A reader who only wanted the size may leave: the download goes on for who comes back."""
        content, response = self.begin()
        content.body.close()
        self.clock.advance(ABANDONED - 1)
        again = self.successResultOf(self.source.open(URL))
        self.clock.advance(ABANDONED - 1)
        response.send(DATA)
        response.finish()
        self.assertEqual(self.read(again), DATA)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_finished_unread(self) -> None:
        """A download ends well though nobody waits for it any more."""
        content, response = self.begin(ETag='"1"')
        content.body.close()
        response.send(DATA)
        response.finish()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.read(self.successResultOf(self.source.open(URL))), DATA)


class ResumedTests(CacheCase):
    """A download that broke off goes on where it ended."""

    def break_off(self, **fields: str) -> None:
        content, response = self.begin(**({"ETag": '"1"'} | fields))
        response.send(DATA[:300])
        response.break_off()
        with self.assertRaises(SourceFailed):
            content.body.read(0, 10)
        content.body.close()

    def resume(self, **fields: str) -> tuple[Content, Response]:
        opened, request = self.open()
        self.assertEqual((request.fields["Range"], request.fields["If-Range"]), ("bytes=300-", '"1"'))
        response = request.answer(206, length=len(DATA) - 300, **fields)
        return self.successResultOf(opened), response

    def test_resumed(self) -> None:
        """Also by another process, and what is here already can be read at once."""
        for again in (lambda: None, self.restart):
            self.store.drop(URL)
            self.break_off()
            again()
            content, response = self.resume(Content_Range=f"bytes 300-{len(DATA) - 1}/{len(DATA)}")
            self.assertEqual(content.body.read(0, 300), DATA[:300])
            response.send(DATA[300:])
            response.finish()
            self.assertEqual(self.read(content), DATA)

    def test_abandoned(self) -> None:
        """A download that nobody reads for a while stops, and goes on when somebody comes."""
        content, response = self.begin(ETag='"1"')
        response.send(DATA[:300])
        content.body.close()
        self.clock.advance(ABANDONED)
        self.assertTrue(response.connection.aborted)
        content, response = self.resume(Content_Range=f"bytes 300-{len(DATA) - 1}/{len(DATA)}")
        response.send(DATA[300:])
        response.finish()
        self.assertEqual(self.read(content), DATA)

    def test_changed_meanwhile(self) -> None:
        """A server that has a new version sends all of it."""
        self.break_off()
        opened, request = self.open()
        request.answer(200, b"new", ETag='"2"')
        self.assertEqual(self.read(self.successResultOf(opened)), b"new")

    def test_wrong_part(self) -> None:
        """A part that is not the rest of ours is not joined to it."""
        total = len(DATA)
        for fields in (
            {},
            {"Content_Range": f"bytes 299-{total - 1}/{total}"},
            {"Content_Range": f"bytes 300-{total - 1}/{total + 1}"},
            {"Content_Range": f"bytes 300-{total - 1}/*"},
            {"Content_Range": f"bytes 300-{total - 1}/{total}", "ETag": '"2"'},
        ):
            self.store.drop(URL)
            self.clock.advance(FRESH)
            self.break_off()
            opened, request = self.open()
            request.answer(206, length=total - 300, **fields)
            request = self.internet.request()
            self.assertTrue(self.unconditional(request), fields)
            request.answer(200, DATA)
            self.assertEqual(self.read(self.successResultOf(opened)), DATA)

    def test_unsatisfiable(self) -> None:
        """A part that the server knows nothing about is thrown away."""
        self.break_off()
        opened, request = self.open()
        request.answer(416, b"")
        self.internet.request().answer(500, b"")
        self.failureResultOf(opened, SourceFailed)
        self.assertIsNone(self.store.part(URL))

    def test_without_validator(self) -> None:
        """Where the server gave nothing to tell versions apart, the download begins anew."""
        self.break_off(ETag='W/"1"')
        opened, request = self.open()
        self.assertTrue(self.unconditional(request))
        request.answer(200, DATA)
        self.assertEqual(self.read(self.successResultOf(opened)), DATA)

    def test_secured_on_the_way(self) -> None:
        """From time to time what is here is made sure of, so that a crash costs little."""
        self.patch(growing, "SECURED", 100)
        content, response = self.begin(ETag='"1"')
        response.send(DATA[:150])
        response.send(DATA[150:170])
        part = self.store.part(URL)
        assert part is not None
        self.assertEqual(part.synced, 150)
        content.body.close()
        self.restart()


class PassingTests(CacheCase):
    """What cannot be kept passes through."""

    def passes(self, **fields: str) -> None:
        content, response = self.begin(**fields)
        self.assertEqual(list(self.directory.glob("*.part")), [])
        response.send(DATA)
        self.assertEqual(self.read(content), DATA)
        self.assertEqual(list(self.directory.glob("*.data")), [])

    def test_no_store(self) -> None:
        """The server forbids to keep it."""
        self.passes(Cache_Control="private, No-Store")

    def test_too_large(self) -> None:
        """It is larger than the store."""
        self.restart(limit=len(DATA) - 1)
        self.passes()

    def test_unknown_length(self) -> None:
        """The server does not say how large it is."""
        content, response = self.begin(None)
        response.send(DATA)
        response.end_by_closing()
        self.assertEqual(content.body.read(0, 2000), DATA)
        content.body.close()

    def test_disk_full(self) -> None:
        """When the disk refuses, the download fails with a sentence, and for a while everything passes through."""
        full = OSError(errno.ENOSPC, "No space left on device")
        content, response = self.begin()
        with patch.object(os, "pwrite", side_effect=full):
            response.send(DATA)
        with self.assertRaises(SourceFailed) as caught:
            content.body.read(0, 10)
        self.assertIn("No space left", str(caught.exception))
        content.body.close()
        self.assertTrue(response.connection.aborted)
        self.passes()
        self.clock.advance(BROKEN)
        self.fetch()

    def test_no_place(self) -> None:
        """When not even a file can be begun, it passes through."""
        with patch.object(self.store, "begin", side_effect=OSError(errno.EROFS, "Read-only file system")):
            self.passes()
