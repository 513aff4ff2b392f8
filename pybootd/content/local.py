"""
Files below a directory, and nothing but files below it (L{pybootd.content.walk}), open as long as somebody reads them.

Readers of the same unchanged file share one descriptor: a hall of machines that starts
at once opens its kernel once.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from pybootd.content.content import Content
from pybootd.content.memory import in_memory
from pybootd.content.walk import open_below, raw, refusal
from pybootd.errors import SourceFailed

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

InThread = Callable[[Callable[[], Any]], "Deferred[Any]"]
"""Runs a function that may wait for a disk outside the reactor's thread."""

Key = tuple[str, str, bool]
"""Root, name, and whether its case may differ."""

KEPT = 2.0
"""Seconds, at most, for which a file stays open after its last reader; nobody should wait longer to unmount."""

IDLE = 64
"""How many files are kept open so."""

LOOK_AHEAD = 4
"""How many times as much as is wanted now a disk is told to read."""

PIECE = 1 << 16
"""Bytes of a file that a thread holds while it has the rest read."""

_NOWAIT = getattr(os, "RWF_NOWAIT", 0)


def is_cached(fd: int, offset: int, length: int) -> bool:
    """
    Whether reading that part of a file would not have to wait for a disk.

    Judged by its first and last byte: who reads files from front to back has, or has not,
    what is between.  Where the kernel cannot tell, only what is all memory is taken to be there.
    """
    if not _NOWAIT:
        return True
    byte = [bytearray(1)]
    try:
        os.preadv(fd, byte, offset, _NOWAIT)
        os.preadv(fd, byte, offset + length - 1, _NOWAIT)
    except BlockingIOError:
        return False
    except OSError:  # EOPNOTSUPP: a file system that does not know; else the read itself will tell
        return in_memory(fd)
    return True


def load(in_thread: InThread, fd: int, offset: int, length: int) -> Deferred[Any]:
    """
    Have that part of a file read into memory.

    @return: fires when it is there, or with the disk's error; C{fd} may be closed meanwhile.
    """
    own = os.dup(fd)

    def read() -> None:
        try:
            announce(own, offset, length)
            for at in range(offset, offset + length, PIECE):  # all of it: that was advice, of which a disk takes a part
                os.pread(own, min(PIECE, offset + length - at), at)
        finally:
            os.close(own)

    return in_thread(read)


def announce(fd: int, offset: int, length: int) -> None:
    """Tell a disk that so much of a file is wanted now, and more of it soon; it may have to be waited for."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, offset, LOOK_AHEAD * length, os.POSIX_FADV_WILLNEED)


def beginning(fd: int, limit: int) -> bytes:
    """The first C{limit} bytes of an open file, which is closed; errors as in L{LocalFiles.open}."""
    try:
        return os.read(fd, limit)
    except OSError as error:
        raise refusal(error) from error
    finally:
        os.close(fd)


class LocalFiles:
    """
    Opens files; one instance serves the whole server.

    A file stays open for a moment after its last reader: the next one seldom lets wait for
    itself, be it a hall of machines or the second request of a size probe.
    """

    def __init__(
        self,
        in_thread: InThread | None = None,
        call_later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        """
        @param in_thread: where a file that is not in memory is read from disk; None: here,
            which only short-lived programs and tests should do.
        @param call_later: the reactor's; None: files are closed at once.
        """
        self._in_thread = in_thread
        self._call_later = call_later
        self._shared: dict[Key, Shared] = {}
        self._idle: set[Shared] = set()
        self._closing = False

    def open(self, root: str, name: str, ignore_case: bool = False) -> Content:
        """
        Open one file for one reader.

        @param root: an absolute directory; itself it may be reached through links.
        @param name: components below it, separated by C{/}; bytes that are no UTF-8 are
            carried as lone surrogates.
        @param ignore_case: where no entry has the very name, one that differs in case will do.
        @raise NotFound: it is not a file below C{root} that this process may read.
        @raise SourceFailed: it may well be, but this process or the disk is at its limit.
        """
        key = (root, name, ignore_case)
        shared = self._shared.get(key)
        if shared is None or not shared.unchanged():
            shared = self._keep(key, *open_below(root, name, ignore_case))
        self._idle.discard(shared)
        return shared.content(self._in_thread)

    def ask(self, root: str, name: str, ignore_case: bool = False) -> Content | Deferred[Content]:
        """As L{open}; a server's may have to wait (L{pybootd.content.opening})."""
        return self.open(root, name, ignore_case)

    def _keep(self, key: Key, fd: int, source: str, status: os.stat_result) -> Shared:
        """What was opened, for the readers to come."""
        shared = self._shared.get(key)
        if shared in self._idle:
            self._close(shared)
        shared = self._shared[key] = Shared(self, key, fd, source, status)
        return shared

    def adopt(self, fd: int) -> Content:
        """
        A file that another process has opened, for one reader.

        @param fd: belongs to this instance from now on; those of the same unchanged file become one.
        """
        status = os.fstat(fd)
        key = ("", str(_identity(status)), False)
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = Shared(self, key, fd, "a file of the main process", status)
        else:
            os.close(fd)
        self._idle.discard(shared)
        return shared.content(self._in_thread)

    def read(self, root: str, name: str, limit: int, ignore_case: bool = False) -> bytes:
        """
        The first C{limit} bytes of a small file of the administrator's; errors as in L{open}.
        """
        return beginning(open_below(root, name, ignore_case)[0], limit)

    def ask_read(self, root: str, name: str, limit: int, ignore_case: bool = False) -> bytes | Deferred[bytes]:
        """As L{read}; a server's may have to wait (L{pybootd.content.opening})."""
        return self.read(root, name, limit, ignore_case)

    def unused(self, shared: Shared) -> None:
        """The last reader of a file has left."""
        if self._call_later is None or self._shared.get(shared.key) is not shared or len(self._idle) >= IDLE:
            self._close(shared)
            return
        self._idle.add(shared)
        if not self._closing:  # one timer at a time, however often a small file comes and goes
            self._closing = True
            self._call_later(KEPT, self._close_idle)

    def _close_idle(self) -> None:
        self._closing = False
        for shared in tuple(self._idle):
            self._close(shared)

    def _close(self, shared: Shared) -> None:
        self._shut(shared.fd, shared.device)
        self._idle.discard(shared)
        if self._shared.get(shared.key) is shared:
            del self._shared[shared.key]

    def _shut(self, fd: int, device: int) -> None:
        """Close a descriptor; a server's may have to wait for that too."""
        os.close(fd)


class Shared:
    """One open file, and how many read it."""

    __slots__ = (
        "_files",
        "_identity",
        "_path",
        "_readers",
        "device",
        "etag",
        "fd",
        "key",
        "modified",
        "size",
        "source",
    )

    def __init__(self, files: LocalFiles, key: Key, fd: int, source: str, status: os.stat_result) -> None:
        self._files = files
        self._identity = _identity(status)
        self._path = raw(source)
        self._readers = 0
        self.key = key
        self.device = status.st_dev
        self.fd = fd
        self.source = source
        self.size = status.st_size
        self.modified = status.st_mtime
        self.etag = f"{status.st_mtime_ns:x}-{status.st_size:x}"

    def unchanged(self) -> bool:
        """
        Whether the path still leads to this very file.

        Only compared, never opened: what was vetted when it was opened is what is served.
        """
        try:
            return _identity(os.stat(self._path)) == self._identity  # noqa: PTH116 - bytes, whatever the locale
        except OSError:
            return False

    def is_(self, status: os.stat_result) -> bool:
        """Whether that is this very file, as it was when it was opened."""
        return _identity(status) == self._identity

    def content(self, in_thread: InThread | None) -> Content:
        """For one more reader."""
        self._readers += 1
        return Content(self.source, self.size, FileBody(self, in_thread), self.modified, self.etag)

    def acquire(self) -> None:
        """Keep it open for one more."""
        self._readers += 1

    def release(self) -> None:
        """One needs it no longer."""
        self._readers -= 1
        if not self._readers:
            self._files.unused(self)


class Held(Protocol):
    """An open file, for as long as somebody holds it."""

    @property
    def fd(self) -> int:
        """Its descriptor."""

    @property
    def size(self) -> int:
        """In bytes."""

    def acquire(self) -> None:
        """One more holds it."""

    def release(self) -> None:
        """One of them does no longer."""


class FileBody:
    """The bytes of one open file, for one reader; what may have to wait for a disk is read in a thread."""

    def __init__(self, shared: Held, in_thread: InThread | None) -> None:
        """@param shared: is held for this reader already."""
        self._shared: Held | None = shared
        self._fd = shared.fd
        self._size = shared.size
        self._in_thread = in_thread
        self._nowait = _NOWAIT if in_thread is not None else 0
        self._wanted = (0, 0)
        self._fetched: tuple[int, bytes] | None = None
        self._failure: SourceFailed | None = None

    def fileno(self) -> int | None:
        return self._fd

    def read(self, offset: int, length: int) -> bytes | None:
        if self._failure is not None:
            raise self._failure
        length = min(length, self._size - offset)
        if length <= 0:
            return b""
        if self._fetched is not None:
            begin = offset - self._fetched[0]
            if begin >= 0 and begin + length <= len(self._fetched[1]):
                return self._fetched[1][begin : begin + length]
        if self._nowait:
            data = self._read_cached(offset, length)
            if data is None:
                self._wanted = (offset, length)
            return data
        return self._read_through(offset, length)

    def wait(self, ready: Callable[[], None]) -> None:
        shared = self._shared
        if self._in_thread is None or shared is None:
            ready()
            return
        shared.acquire()  # the thread's own hold: a close meanwhile must not free the descriptor
        offset, length = self._wanted

        def done(data: bytes | BaseException) -> None:
            shared.release()
            if isinstance(data, bytes):
                self._fetched = (offset, data)
            ready()

        def fetch() -> bytes | BaseException:
            try:
                return self._read_through(offset, length)
            except SourceFailed as failure:
                return failure

        self._in_thread(fetch).addBoth(done)

    def discard(self, offset: int) -> None:
        if self._fetched is not None and self._fetched[0] + len(self._fetched[1]) <= offset:
            self._fetched = None

    def close(self) -> None:
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.release()

    def _read_cached(self, offset: int, length: int) -> bytes | None:
        """What the page cache has, if it has all of it."""
        buffer = bytearray(length)
        try:
            count = os.preadv(self._fd, [buffer], offset, self._nowait)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return None
            if not in_memory(self._fd):  # EOPNOTSUPP: a file system that cannot tell; a thread may wait for it
                return None
            self._nowait = 0
            return self._read_through(offset, length)
        return bytes(buffer) if count == length else None

    def _read_through(self, offset: int, length: int) -> bytes:
        try:
            data = os.pread(self._fd, length, offset)
        except OSError as error:
            self._failure = SourceFailed(f"The file cannot be read: {error.strerror}")
            raise self._failure from error
        if len(data) < length:
            self._failure = SourceFailed("The file became shorter while it was being sent")
            raise self._failure
        return data


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
