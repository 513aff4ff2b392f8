"""A remote file on its way to disk, and its readers, who follow it as it grows."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from pybootd.content.content import Content
from pybootd.content.fetch import Answer
from pybootd.content.local import FileBody, InThread
from pybootd.content.remote import modified, strong
from pybootd.content.store import Note, Store
from pybootd.errors import SourceFailed

PENDING = 1 << 20
"""Bytes that wait for the disk before the server is held back."""

SECURED = 16 << 20
"""Bytes between two notes of how much of a part is sure."""

ABANDONED = 30.0
"""Seconds for which a download that nobody reads goes on: firmware asks for the size, leaves, and comes back."""


class Growing:
    """
    One download into the store; it takes the bytes of an L{Answer}.

    @ivar written: how many bytes of the file can be read.
    """

    def __init__(
        self,
        answer: Answer,
        note: Note,
        fd: int,
        store: Store,
        in_thread: InThread,
        reactor: Any,
        ended: Callable[[Growing, OSError | None], None],
    ) -> None:
        """
        @param note: the part's; what its C{synced} counts is there already.
        @param fd: the part, open for writing.
        @param ended: called when the download is over, in whatever way, with the disk's error if there was one.
        """
        self.note = note
        self.written = note.synced
        self._answer = answer
        self._fd = fd
        self._store = store
        self._in_thread = in_thread
        self._reactor = reactor
        self._tell_end = ended
        self._over = False
        self._pending: list[bytes] = []
        self._ended = False
        self._failure: SourceFailed | None = None
        self._bell: Deferred[None] | None = None
        self._waiting: list[tuple[int, Callable[[], None]]] = []
        self._readers = 1  # the first ones, who are on their way
        self._abandoned: IDelayedCall | None = None
        self.done: Deferred[None] = Deferred.fromCoroutine(self._run())

    # Readers

    def contents(self, readers: int) -> list[Content]:
        """As in L{pybootd.content.together.Supply}: for those who made it begin; called once."""
        contents = [self.content() for _ in range(readers)]
        self.release()
        return contents

    def content(self) -> Content:
        """The file, for one more reader."""
        self.acquire()
        return Content(
            source=self._answer.url,
            size=self.note.size,
            body=Follower(self, self._in_thread),
            modified=modified(self.note.last_modified),
            etag=strong(self.note.etag),
        )

    @property
    def fd(self) -> int:
        """The part; as in L{pybootd.content.local.Held}."""
        return self._fd

    @property
    def size(self) -> int:
        """Of the whole file."""
        return self.note.size

    def acquire(self) -> None:
        """A reader more."""
        self._readers += 1
        if self._abandoned is not None:
            self._abandoned.cancel()
            self._abandoned = None

    def release(self) -> None:
        """A reader less."""
        self._readers -= 1
        if not self._readers:
            self._watch()

    def has(self, end: int) -> bool:
        """
        Whether the bytes before C{end} can be read.

        @raise SourceFailed: they never will be.
        """
        if self._failure is not None:
            raise self._failure
        return min(end, self.note.size) <= self.written

    def wait(self, end: int, ready: Callable[[], None]) -> None:
        """Call C{ready} when the bytes before C{end} can be read, or never will."""
        self._waiting.append((min(end, self.note.size), ready))
        self._wake()

    # The download

    def received(self, data: bytes) -> None:
        self._pending.append(data)
        if sum(map(len, self._pending)) >= PENDING:
            self._answer.pause()
        self._ring()

    def ended(self, failure: SourceFailed | None) -> None:
        self._ended = True
        if failure is not None:
            self._fail(failure)
        self._ring()

    def stop(self) -> Deferred[None]:
        """
        Break the download off; what is here stays for another time.

        @return: fires when the disk has it.
        """
        if not self._ended:
            self._answer.drop()
            self.ended(SourceFailed("The download was stopped"))
        stopped: Deferred[None] = Deferred()
        self.done.addBoth(lambda _: stopped.callback(None))
        return stopped

    async def _run(self) -> None:
        """Write what comes, and bring it to a good end."""
        problem = None
        try:
            while self._pending or not self._ended:
                if self._pending:
                    await self._write()
                else:
                    self._bell = Deferred()
                    await self._bell
            await self._conclude()
        except OSError as error:
            problem = error
            self._fail(SourceFailed(f"The cache's disk refused: {error.strerror}"))
            self._store.drop(self.note.url)
            self._answer.drop()
        self._ended = self._over = True
        if self._abandoned is not None:
            self._abandoned.cancel()
            self._abandoned = None
        self._store.end(self.note)
        self._tell_end(self, problem)
        self._wake()
        self._close()

    async def _write(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._answer.resume()
        await self._in_thread(lambda: _write_all(self._fd, data, self.written))
        self.written += len(data)
        self._wake()
        if self.written - self.note.synced >= SECURED:
            await self._secure()

    async def _secure(self) -> None:
        self.note = await self._in_thread(lambda: self._store.secure(self._fd, self.note, self.written))
        self._store.adopt(self.note)

    async def _conclude(self) -> None:
        if self._failure is not None and self.note.validator is not None:
            await self._secure()
        elif self._failure is None and self.written == self.note.size:
            self.note = await self._in_thread(lambda: self._store.finish(self._fd, self.note))
            self._store.adopt(self.note)
        else:
            self._fail(SourceFailed(f"{self._answer.host} sent {self.written} bytes instead of {self.note.size}"))
            self._store.drop(self.note.url)

    def _fail(self, failure: SourceFailed) -> None:
        if self._failure is None:
            self._failure = failure
            self._wake()

    def _ring(self) -> None:
        bell, self._bell = self._bell, None
        if bell is not None:
            bell.callback(None)

    def _wake(self) -> None:
        settled = self._failure is not None
        ready = [waiter for waiter in self._waiting if settled or waiter[0] <= self.written]
        self._waiting = [waiter for waiter in self._waiting if waiter not in ready]
        for _, call in ready:
            call()

    def _watch(self) -> None:
        """Nobody reads (any more): give up after a while, or let go where all is done."""
        if self._over:
            self._close()
        elif not self._ended and self._abandoned is None:
            self._abandoned = self._reactor.callLater(ABANDONED, self._give_up)

    def _give_up(self) -> None:
        self._abandoned = None
        self.stop()

    def _close(self) -> None:
        if not self._readers and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Follower(FileBody):
    """One reader of a download: what is written may have left the memory since, and is read by a thread then."""

    def __init__(self, growing: Growing, in_thread: InThread) -> None:
        super().__init__(growing, in_thread)
        self._growing = growing
        self._missing = 0

    def fileno(self) -> None:
        """There is more to come."""

    def read(self, offset: int, length: int) -> bytes | None:
        here = self._growing.has(offset + length)
        self._missing = 0 if here else offset + length
        return super().read(offset, length) if here else None

    def wait(self, ready: Callable[[], None]) -> None:
        if self._missing:
            self._growing.wait(self._missing, lambda: None if self._shared is None else ready())
        else:
            super().wait(ready)


def _write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, offset)
        view = view[count:]
        offset += count
