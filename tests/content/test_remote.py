"""Files of remote servers, streamed."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pybootd.content.content import Content
from pybootd.content.fetch import Patience
from pybootd.content.remote import WINDOW, RemoteSource, modified, strong
from pybootd.errors import NotFound, SourceFailed
from pybootd.interfaces import IFileSource
from tests.support.web import FakeFetcher, Internet, Response

URL = "http://mirror/vmlinuz"
LARGE = 10 * WINDOW


class RemoteCase(SynchronousTestCase):
    """A source, and the Internet that it sees."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.internet = Internet()
        self.source = RemoteSource(FakeFetcher(self.clock, self.internet, patience=Patience(stall=5)))
        self.ready: list[str] = []

    def open(self, length: int | None = 10, **fields: str) -> tuple[Content, Response]:
        opened = self.source.open(URL)
        response = self.internet.request().answer(200, length=length, **fields)
        return self.successResultOf(opened), response

    def wait(self, content: Content, name: str = "ready") -> None:
        content.body.wait(lambda: self.ready.append(name))


class RemoteSourceTests(RemoteCase):
    """What opening an URL gives."""

    def test_interface(self) -> None:
        """It is a source like any plugin's."""
        verifyObject(IFileSource, self.source)

    def test_described(self) -> None:
        """The size is known before the first byte, for tsize; and so are the validators."""
        date = "Thu, 01 Jan 1970 00:01:40 GMT"
        content, response = self.open(1234, ETag='"abc"', Last_Modified=date)
        self.assertEqual((content.source, content.size), (URL, 1234))
        self.assertEqual((content.etag, content.modified), ("abc", 100.0))
        self.assertIsNone(content.body.fileno())
        content.body.close()
        self.assertTrue(response.connection.aborted)

    def test_missing(self) -> None:
        """404 and 410: there is no such file."""
        for code in (404, 410):
            opened = self.source.open(URL)
            self.internet.request().answer(code, b"sorry")
            self.failureResultOf(opened, NotFound)

    def test_refused(self) -> None:
        """Everything else is the remote server's failure, and says so."""
        for code in (204, 206, 304, 401, 403, 500, 503):
            opened = self.source.open(URL)
            self.internet.request().answer(code, b"")
            self.assertEqual(str(self.failureResultOf(opened, SourceFailed).value), f"mirror answers {code}")

    def test_validators(self) -> None:
        """Weak and malformed validators, and dates that are none, are no validators."""
        for field in (None, "", "x", 'W/"x"', '"x', '"a"b"', '"\xe9"', '"', '"\x7f"'):
            self.assertIsNone(strong(field), field)
        self.assertEqual(strong('"x-1"'), "x-1")
        for field in (None, "", "yesterday", "Thu, 99 Jan 1970 00:01:40 GMT", "Thu, 01 Jan 99999999 00:00:00 GMT"):
            self.assertIsNone(modified(field), field)


class StreamTests(RemoteCase):
    """The bytes of one reader."""

    def test_streamed(self) -> None:
        """Bytes can be read when they are here, and the reader is called when that is so."""
        content, response = self.open(10)
        body = content.body
        self.assertIsNone(body.read(0, 4))
        self.wait(content)
        response.send(b"012")
        self.assertEqual((self.ready, body.read(0, 4)), ([], None))
        response.send(b"345")
        self.assertEqual((self.ready, body.read(0, 4)), (["ready"], b"0123"))
        self.assertIsNone(body.read(4, 4))
        response.send(b"6789")
        response.finish()
        self.assertEqual((body.read(4, 4), body.read(8, 4), body.read(10, 4)), (b"4567", b"89", b""))
        self.assertEqual(self.ready, ["ready"])

    def test_again_until_discarded(self) -> None:
        """What was not discarded can be read again, for a client that lost it."""
        content, response = self.open(LARGE)
        response.send(b"0123456789")
        body = content.body
        self.assertEqual(body.read(4, 4), b"4567")
        self.assertEqual(body.read(0, 4), b"0123")
        body.discard(4)
        self.assertEqual(body.read(4, 4), b"4567")
        with self.assertRaises(SourceFailed):
            body.read(0, 4)

    def test_pace(self) -> None:
        """A server is held back while its client has not taken the window, whatever the file's size."""
        content, response = self.open(LARGE)
        body, piece = content.body, b"x" * 65536
        sent = 0
        while not response.connection.paused:
            response.send(piece)
            sent += len(piece)
        self.assertEqual(sent, WINDOW)
        self.clock.advance(60)
        for offset in range(0, WINDOW // 2, 65536):
            self.assertEqual(body.read(offset, 65536), piece)
            self.assertTrue(response.connection.paused)
            body.discard(offset + 65536)
        self.assertFalse(response.connection.paused)

    def test_more_than_the_window(self) -> None:
        """A reader that wants more at once than the window holds gets it."""
        content, response = self.open(LARGE)
        body, piece = content.body, b"x" * 65536
        wanted = 2 * WINDOW
        self.assertIsNone(body.read(0, wanted))
        self.wait(content)
        for _ in range(wanted // len(piece)):
            self.assertFalse(response.connection.paused)
            response.send(piece)
        self.assertEqual(self.ready, ["ready"])
        self.assertTrue(response.connection.paused)
        self.assertEqual(len(body.read(0, wanted) or b""), wanted)

    def test_failed(self) -> None:
        """A server that breaks off or stalls ends the transfer with a sentence, however often it is read."""
        for end in ("break_off", "stall"):
            content, response = self.open(10)
            self.assertIsNone(content.body.read(0, 4))
            self.wait(content, end)
            if end == "stall":
                self.clock.advance(5)
            else:
                response.break_off()
            self.assertEqual(self.ready.pop(), end)
            for _ in range(2):
                with self.assertRaises(SourceFailed):
                    content.body.read(0, 4)
            self.wait(content, "again")
            self.assertEqual(self.ready.pop(), "again")
            content.body.close()

    def test_unknown_length(self) -> None:
        """A file whose length nobody says is read to its end."""
        content, response = self.open(None)
        self.assertIsNone(content.size)
        self.assertFalse(content.seekable)
        response.send(b"abc")
        self.assertIsNone(content.body.read(0, 10))
        response.end_by_closing()
        self.assertEqual(content.body.read(0, 10), b"abc")

    def test_closed(self) -> None:
        """After a reader closed it is not called any more, and the server's connection ends."""
        content, response = self.open(LARGE)
        self.assertIsNone(content.body.read(0, 4))
        self.wait(content)
        content.body.close()
        content.body.close()
        self.assertTrue(response.connection.aborted)
        self.assertEqual(self.ready, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SharingTests(RemoteCase):
    """Readers at the same time share what fits into a window."""

    def openings(self, count: int) -> list[Deferred[Content]]:
        return [self.source.open(URL) for _ in range(count)]

    def test_one_request(self) -> None:
        """Many who ask for a small file at once make one request, and each reads at its own pace."""
        opened = self.openings(3)
        request = self.internet.request()
        self.assertEqual(self.internet.requests, [])
        response = request.answer(200, length=6)
        contents = [self.successResultOf(each) for each in opened]
        late = self.successResultOf(self.source.open(URL))
        response.send(b"abcdef")
        response.finish()
        contents[0].body.discard(6)
        contents[0].body.close()
        for content in (*contents[1:], late):
            self.assertEqual(content.body.read(0, 6), b"abcdef")
            content.body.close()
        self.source.open(URL)
        self.assertEqual(len(self.internet.requests), 1)

    def test_large(self) -> None:
        """Each reader of a large file has a request of its own, for one must not hold up the other."""
        opened = self.openings(3)
        self.internet.request().answer(200, length=LARGE)
        self.assertEqual(len(self.internet.requests), 2)
        for _ in range(2):
            self.internet.request().answer(200, length=LARGE)
        bodies = {id(self.successResultOf(each).body) for each in opened}
        self.assertEqual(len(bodies), 3)

    def test_failure(self) -> None:
        """All who waited hear of a failure."""
        opened = self.openings(2)
        self.internet.request().answer(404, b"")
        for each in opened:
            self.failureResultOf(each, NotFound)

    def test_failed_midway(self) -> None:
        """Who asks after a download broke begins anew."""
        content, response = self.open(10)
        response.break_off()
        self.source.open(URL)
        self.assertEqual(len(self.internet.requests), 1)
        content.body.close()
        self.assertEqual(len(self.internet.requests), 1)

    def test_cancelled(self) -> None:
        """One who leaves early takes nothing from the others; when all left, the answer is dropped."""
        first, second = self.openings(2)
        first.cancel()
        self.failureResultOf(first)
        response = self.internet.request().answer(200, length=6)
        self.successResultOf(second).body.close()
        self.assertTrue(response.connection.aborted)
        (third,) = self.openings(1)
        third.cancel()
        self.failureResultOf(third)
        response = self.internet.request().answer(200, length=6)
        self.assertTrue(response.connection.aborted)
        self.source.open(URL)
        self.assertEqual(len(self.internet.requests), 1)
