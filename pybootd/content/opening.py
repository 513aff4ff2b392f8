"""
Files opened for a server, whose clients do not wait for one another's disks.

Where the way to a file is in memory it is opened at once, else in a thread: a sleeping disk takes seconds to find a
name, and a network file system that does not answer, for ever.
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from pybootd.content.content import Content
from pybootd.content.local import InThread, Key, LocalFiles, Shared, beginning, is_cached
from pybootd.content.lookup import Lookup
from pybootd.content.memory import is_distant
from pybootd.content.walk import open_below, raw
from pybootd.errors import SourceFailed

DIRECTORIES = 1024
"""Directories kept in mind, the latest, whose files are not opened without asking another host or program."""

WAITING = 1024
"""Files, at most, that wait to be opened by a thread: a disk that does not answer at all is not worth more memory."""

Opened = tuple[int, str, os.stat_result]


class ServedFiles(LocalFiles):
    """L{LocalFiles} of a server."""

    def __init__(
        self,
        in_thread: InThread,
        call_later: Callable[[float, Callable[[], None]], object] | None = None,
        lookup: Callable[[bytes], int] | None = None,
    ) -> None:
        """@param lookup: see L{Lookup.errno}."""
        super().__init__(in_thread, call_later)
        self._thread = in_thread
        self._lookup = Lookup().errno if lookup is None else lookup
        self._waiting = 0
        self._distant: OrderedDict[tuple[str, str], None] = OrderedDict()

    def ask(self, root: str, name: str, ignore_case: bool = False) -> Content | Deferred[Content]:
        key = (root, name, ignore_case)
        return self.open(*key) if self._is_near(key) else self._open_in_thread(key)

    def ask_read(self, root: str, name: str, limit: int, ignore_case: bool = False) -> bytes | Deferred[bytes]:
        key = (root, name, ignore_case)
        if not self._is_near(key):
            return self._wait(partial(self.read, root, name, limit, ignore_case))
        fd, _, status = open_below(*key)
        if not self._notice(key, status) and is_cached(fd, 0, max(1, min(limit, status.st_size))):
            return beginning(fd, limit)
        try:
            return self._wait(partial(beginning, fd, limit))
        except SourceFailed:
            self._shut(fd, status.st_dev)
            raise

    def _is_near(self, key: Key) -> bool:
        """Whether a file can be opened without waiting for a disk."""
        if self._distant and self._directory(key) in self._distant:
            return False
        if key in self._shared:  # an open file holds its directories in memory
            return True
        root, name, ignore_case = key
        error = self._lookup(raw(f"{root}/{name}"))
        return not error or (error != errno.EAGAIN and not ignore_case)

    def _wait(self, function: Callable[[], bytes]) -> Deferred[bytes]:
        """Let a thread do that; it counts until that is done, though nobody waits any more."""
        self._count()
        asked: Deferred[bytes] = Deferred()

        def done(result: bytes | Failure) -> None:
            self._waiting -= 1
            if not asked.called:
                asked.callback(result)

        self._thread(function).addBoth(done)
        return asked

    def _count(self) -> None:
        """@raise SourceFailed: so many wait that one more would be too much."""
        if self._waiting >= WAITING:
            raise SourceFailed("The server's disk does not answer; try again")
        self._waiting += 1

    def _open_in_thread(self, key: Key) -> Deferred[Content]:
        self._count()
        shared = self._shared.get(key)
        if shared is not None:
            self._idle.discard(shared)
            shared.acquire()
        asked: Deferred[Content] = Deferred()

        def opened() -> Opened | None:
            return None if shared is not None and shared.unchanged() else open_below(*key)

        def came(what: Opened | None) -> None:
            self._waiting -= 1
            found = shared if what is None else self._taken(key, what)
            assert found is not None
            self._idle.discard(found)
            content = found.content(self._thread)
            if shared is not None:
                shared.release()
            if asked.called:  # nobody waits any more
                content.body.close()
            else:
                asked.callback(content)

        def failed(failure: Failure) -> None:
            self._waiting -= 1
            if shared is not None:
                shared.release()
            if not asked.called:
                asked.errback(failure)

        self._thread(opened).addCallbacks(came, failed)
        return asked

    def _taken(self, key: Key, opened: Opened) -> Shared:
        """What a thread has opened; somebody else may have been quicker."""
        fd, source, status = opened
        current = self._shared.get(key)
        if current is not None and current.is_(status):
            self._shut(fd, status.st_dev)
            return current
        return self._keep(key, fd, source, status)

    def _keep(self, key: Key, fd: int, source: str, status: os.stat_result) -> Shared:
        self._notice(key, status)
        return super()._keep(key, fd, source, status)

    def _notice(self, key: Key, status: os.stat_result) -> bool:
        """Whether a file is distant; its directory is kept in mind then."""
        if not is_distant(status.st_dev):
            return False
        directory = self._directory(key)
        self._distant[directory] = None
        self._distant.move_to_end(directory)
        if len(self._distant) > DIRECTORIES:
            self._distant.popitem(last=False)
        return True

    def _shut(self, fd: int, device: int) -> None:
        if is_distant(device):  # which is told of it, and answers (FUSE)
            self._thread(partial(os.close, fd)).addErrback(_ignored)
        else:
            super()._shut(fd, device)

    @staticmethod
    def _directory(key: Key) -> tuple[str, str]:
        return key[0], key[1].rpartition("/")[0]


def _ignored(_: Failure) -> None:
    """Somebody else's disk has it that a file, which was only read, is closed badly."""
