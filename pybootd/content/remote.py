"""
Roots that are URLs: files of a remote HTTP server, streamed while they are being sent.

The client's pace is the remote server's: what its transfer has not asked for yet is not
read, but for a window.  A file that fits into the window as a whole is fetched once for
all who ask for it at the same time.
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from pybootd.content.content import Content
from pybootd.content.fetch import Answer, Fetcher
from pybootd.content.readers import SharedBody
from pybootd.content.together import Supply, Together
from pybootd.errors import ContentError, NotFound, SourceFailed
from pybootd.interfaces import IFileSource

WINDOW = 256 * 1024
"""Bytes of one file that are held for its client, unless the client wants more at once."""


@implementer(IFileSource)
class RemoteSource:
    """http and https."""

    schemes = ("http", "https")

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._together = Together(self._ask)
        self._whole: dict[str, Download] = {}

    def open(self, url: str) -> Deferred[Content]:
        download = self._whole.get(url)
        return self._together.open(url) if download is None else succeed(download.content())

    def _ask(self, url: str) -> Deferred[Supply]:
        return self._fetcher.get(url).addCallback(self._answered, url)

    def _answered(self, answer: Answer, url: str) -> Supply:
        if answer.status != 200:
            answer.drop()
            raise refusal(answer)
        download = Download(answer, lambda: self._forget(url, download))
        if download.whole:
            self._whole[url] = download
        answer.deliver(download)
        return download

    def _forget(self, url: str, download: Download) -> None:
        if self._whole.get(url) is download:
            del self._whole[url]


def refusal(answer: Answer) -> ContentError:
    """What an answer means that is not the file."""
    if answer.status in (404, 410):
        return NotFound("no such file")
    return SourceFailed(f"{answer.host} answers {answer.status}")


def modified(field: str | None) -> float | None:
    """Last-Modified in seconds since the epoch, where it says something sensible."""
    try:
        return None if field is None else parsedate_to_datetime(field).timestamp()
    except (ValueError, OverflowError):
        return None


def strong(field: str | None) -> str | None:
    """The value of an ETag without its quotes, if it is a strong one."""
    value = (field or "")[1:-1]
    return value if field == f'"{value}"' and value.isascii() and value.isprintable() and '"' not in value else None


class Download:
    """
    One file on its way through a window; it takes the bytes of an L{Answer}.

    A whole file stays in it until its last reader leaves; of a longer one, which has a
    single reader, what that reader discards makes room.
    """

    def __init__(self, answer: Answer, forget: Callable[[], None]) -> None:
        """@param forget: called when it is of no use to further readers."""
        self.whole = answer.size is not None and answer.size <= WINDOW
        self._answer = answer
        self._forget = forget
        self._window = bytearray()
        self._start = 0
        self._ended = False
        self._failure: SourceFailed | None = None
        self._waiting: list[tuple[int, Callable[[], None]]] = []
        self._readers = 0

    def contents(self, readers: int) -> list[Content]:
        """As in L{Supply}."""
        if not readers:
            self._forget()
            self._answer.drop()
        return [self.content() for _ in range(readers if self.whole else min(readers, 1))]

    def content(self) -> Content:
        """The file, for one more reader."""
        self._readers += 1
        answer = self._answer
        return Content(
            source=answer.url,
            size=answer.size,
            body=SharedBody(self),
            modified=modified(answer.header("Last-Modified")),
            etag=strong(answer.header("ETag")),
            seekable=self.whole,
        )

    def received(self, data: bytes) -> None:
        self._window += data
        self._wake()
        if not self.whole and len(self._window) >= WINDOW and not self._waiting:
            self._answer.pause()

    def ended(self, failure: SourceFailed | None) -> None:
        self._ended = True
        self._failure = failure
        if failure is not None:
            self._forget()
        self._wake()

    def read(self, offset: int, length: int) -> bytes | None:
        """As in L{pybootd.content.content.Body}."""
        if self._failure is not None:
            raise self._failure
        begin = offset - self._start
        if begin < 0:
            raise SourceFailed("Bytes were asked for again that had been given up")
        if self._ended or begin + length <= len(self._window):
            return bytes(memoryview(self._window)[begin : begin + length])
        return None

    def wait(self, end: int, ready: Callable[[], None]) -> None:
        """Call C{ready} when the bytes before C{end} are here, or never will be."""
        self._waiting.append((end, ready))
        self._answer.resume()
        self._wake()

    def discard(self, offset: int) -> None:
        """Make room."""
        done = min(offset - self._start, len(self._window))
        if not self.whole and done > 0:
            del self._window[:done]
            self._start += done
            if len(self._window) <= WINDOW // 2:
                self._answer.resume()

    def leave(self) -> None:
        """A reader is done."""
        self._readers -= 1
        if not self._readers:
            self._forget()
            self._answer.drop()

    def _wake(self) -> None:
        here = self._start + len(self._window)
        ready = [(end, call) for end, call in self._waiting if self._ended or end <= here]
        self._waiting = [waiter for waiter in self._waiting if waiter not in ready]
        for _, call in ready:
            call()
