"""
Remote files kept on disk: fetched once, whoever asks, and asked after before they are served again.

A first reader starts the download and everybody reads from the growing file.  What is
kept is served after the server has said that it is still right (ETag, Last-Modified), or
while the server cannot be asked.  A download that broke off goes on where it ended (Range,
If-Range).  What the server gives no length for, or forbids to keep, passes through.
"""

from __future__ import annotations

import re
from typing import Any

import attrs
from attrs import frozen
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.logger import Logger
from zope.interface import implementer

from pybootd.content.content import Content
from pybootd.content.fetch import Answer, Fetcher
from pybootd.content.growing import Growing
from pybootd.content.local import InThread, LocalFiles
from pybootd.content.remote import Download, modified, refusal, strong
from pybootd.content.store import Note, Store
from pybootd.content.together import Supply, Together
from pybootd.content.urls import shown
from pybootd.errors import ContentError, NotFound, SourceFailed
from pybootd.interfaces import IFileSource
from pybootd.text import printable

FRESH = 10.0
"""Seconds after an answer in which a kept file is served without asking again: a storm asks once."""

BROKEN = 60.0
"""Seconds for which everything passes through after the disk refused."""

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})")


@implementer(IFileSource)
class CachedSource:
    """http and https, through a L{Store}."""

    schemes = ("http", "https")
    log = Logger()

    def __init__(self, fetcher: Fetcher, store: Store, files: LocalFiles, in_thread: InThread) -> None:
        """
        @param store: opened and closed by the caller.
        @param files: opens what is kept.
        @param in_thread: where disks are waited for.
        """
        self._fetcher = fetcher
        self._reactor = fetcher.reactor
        self._store = store
        self._files = files
        self._in_thread = in_thread
        self._together = Together(lambda url: Deferred.fromCoroutine(self._ask(url)))
        self._growing: dict[str, Growing] = {}
        self._confirmed: dict[str, float] = {}
        self._broken_until = 0.0

    def open(self, url: str) -> Deferred[Content]:
        growing = self._growing.get(url)
        if growing is not None:
            return succeed(growing.content())
        if self._confirmed.get(url, 0.0) > self._reactor.seconds():
            note = self._store.find(url)
            if note is not None:
                return succeed(self.kept(note))
        return self._together.open(url)

    def close(self) -> Deferred[Any]:
        """Stop all downloads; what they have fetched stays."""
        return DeferredList([growing.stop() for growing in tuple(self._growing.values())])

    def kept(self, note: Note) -> Content:
        """A whole file, for one reader."""
        content = self._files.open(str(self._store.directory), self._store.data(note))
        tag = strong(note.etag) or content.etag
        return attrs.evolve(content, source=shown(note.url), modified=modified(note.last_modified), etag=tag)

    async def _ask(self, url: str) -> Supply:
        """Ask the server, in the light of what is here already."""
        note = self._store.find(url)
        part = None if note is not None else self._store.part(url)
        try:
            answer = await self._fetcher.get(url, _conditions(note, part))
        except SourceFailed as error:
            return self._stale(note, error)
        if answer.status == 200:
            return self._take(answer, _note(url, answer))
        if answer.status == 206 and part is not None and _continues(answer, part):
            return self._take(answer, part)
        answer.drop()
        if answer.status == 304 and note is not None and self._store.find(url) is note:
            self._confirm(url)
            return Kept(self, note)
        if answer.status in (206, 304, 416):
            self._store.drop(url)  # the answer is to a question about something that is not here (any more)
            return self._take_whole(await self._fetcher.get(url), url)
        problem = refusal(answer)
        if isinstance(problem, NotFound):
            self._store.drop(url)
            raise problem
        return self._stale(note, problem)

    def _take_whole(self, answer: Answer, url: str) -> Supply:
        if answer.status == 200:
            return self._take(answer, _note(url, answer))
        answer.drop()
        raise refusal(answer)

    def _take(self, answer: Answer, note: Note | None) -> Supply:
        """Begin to keep a file, or let it pass where that is not possible."""
        fd = None
        if note is not None and note.url not in self._growing and self._reactor.seconds() >= self._broken_until:
            try:
                fd = self._store.begin(note)
            except OSError as error:
                self._broken(error)
        if note is None or fd is None:
            download = Download(answer, lambda: None)
            answer.deliver(download)
            return download
        growing = Growing(answer, note, fd, self._store, self._in_thread, self._reactor, self._ended)
        self._growing[note.url] = growing
        answer.deliver(growing)
        return growing

    def _stale(self, note: Note | None, problem: ContentError) -> Supply:
        """@raise ContentError: there is nothing to serve instead."""
        if note is None or self._store.find(note.url) is not note:
            raise problem
        self.log.warn("{problem}; serving what was kept of {url}", problem=problem, url=printable(shown(note.url)))
        self._confirm(note.url)
        return Kept(self, note)

    def _confirm(self, url: str) -> None:
        now = self._reactor.seconds()
        for old in [old for old, until in self._confirmed.items() if until <= now]:
            del self._confirmed[old]
        self._confirmed[url] = now + FRESH

    def _ended(self, growing: Growing, problem: OSError | None) -> None:
        """A download is over."""
        url = growing.note.url
        del self._growing[url]
        if problem is not None:
            self._broken(problem)
        elif growing.note.written:
            self._confirm(url)

    def _broken(self, problem: OSError) -> None:
        """The disk refused: leave it alone for a while."""
        self._broken_until = self._reactor.seconds() + BROKEN
        where = self._store.directory
        self.log.error(
            "[cache] directory = {where}: {problem}; files pass through for {seconds:.0f} s",
            where=where,
            problem=problem.strerror,
            seconds=BROKEN,
        )


@frozen
class Kept:
    """A whole file that may be served."""

    _source: CachedSource
    _note: Note

    def contents(self, readers: int) -> list[Content]:
        """As in L{pybootd.content.together.Supply}."""
        return [self._source.kept(self._note) for _ in range(readers)]


def _conditions(note: Note | None, part: Note | None) -> dict[str, str]:
    """The fields that ask for what is not here, and for that only."""
    if note is not None:
        fields = {"If-None-Match": note.etag, "If-Modified-Since": note.last_modified}
        return {name: value for name, value in fields.items() if value is not None}
    if part is not None and part.synced and part.validator is not None:
        return {"Range": f"bytes={part.synced}-", "If-Range": part.validator}
    return {}


def _note(url: str, answer: Answer) -> Note | None:
    """What an answer is that may be kept."""
    if answer.size is None or "no-store" in (answer.header("Cache-Control") or "").lower():
        return None
    return Note(url, answer.size, answer.header("ETag"), answer.header("Last-Modified"))


def _continues(answer: Answer, part: Note) -> bool:
    """Whether an answer is the rest of a part."""
    match = _CONTENT_RANGE.fullmatch(answer.header("Content-Range") or "")
    same = answer.header("ETag") in (None, part.etag)
    return match is not None and same and (int(match[1]), int(match[2])) == (part.synced, part.size)
