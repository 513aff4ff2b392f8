"""
The way from a root to a file below it, and to nothing else.

Names are walked one component at a time, from one directory descriptor to the next, so
that no link, however it is swapped in meanwhile, leads out of the root.  Links that stay
inside are followed.  What is not a regular file is not there: it is never even opened,
for a FIFO would hang its reader and a device may act.
"""

from __future__ import annotations

import errno
import os
import stat

from pybootd.errors import NotFound, SourceFailed

MAXIMUM_LINKS = 40
"""Links followed for one name; the kernel's own limit (path_resolution(7))."""

_DIRECTORY = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def raw(path: str) -> bytes:
    """A path as the kernel takes it, whatever the locale."""
    return path.encode("utf-8", "surrogateescape")


def open_below(root: str, name: str, ignore_case: bool) -> tuple[int, str, os.stat_result]:
    """
    Open a file, and find out what it is.

    @return: its descriptor, its path, and that; errors as in L{pybootd.content.local.LocalFiles.open}.
    """
    try:
        walk = _Walk(root, ignore_case)
    except OSError as error:
        raise refusal(error) from error
    try:
        fd, status = walk.open(name)
    except OSError as error:
        raise refusal(error) from error
    except ValueError as error:  # a NUL, or a lone surrogate that stands for no byte
        raise NotFound("no such file") from error
    finally:
        walk.close()
    return fd, f"{root.rstrip('/')}/{name}", status


def refusal(error: OSError) -> NotFound | SourceFailed:
    """What a file that cannot be opened or read is to those who asked for it."""
    if error.errno in _EXHAUSTED:
        return SourceFailed("The server has too many files open; try again")
    if error.errno == errno.EIO:
        return SourceFailed("The server's disk cannot be read")
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotFound("not readable by the server")
    return NotFound("no such file")


class _Walk:
    """A way down from the root: the open directories from the root to where it stands."""

    def __init__(self, root: str, ignore_case: bool) -> None:
        self._root = root
        self._ignore_case = ignore_case
        self._links = 0
        self._fds = [os.open(raw(root), _DIRECTORY)]

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)

    def open(self, name: str) -> tuple[int, os.stat_result]:
        parts = name.split("/")
        parts.reverse()
        while parts:
            part = parts.pop()
            if part in ("", "."):
                if not parts:
                    raise NotFound("a directory")
            elif part == "..":
                self._ascend()
            else:
                opened = self._descend(part, parts)
                if opened is not None:
                    return opened
        raise NotFound("a directory")

    def _ascend(self) -> None:
        if len(self._fds) == 1:
            raise NotFound("leads out of the root")
        os.close(self._fds.pop())

    def _descend(self, part: str, parts: list[str]) -> tuple[int, os.stat_result] | None:
        """Take one step; where that is a link, put what it says in front of the parts still to go."""
        here = self._fds[-1]
        entry = raw(part)
        try:
            status = os.stat(entry, dir_fd=here, follow_symlinks=False)
        except FileNotFoundError:
            if not self._ignore_case:
                raise
            entry = self._similar(part)
            status = os.stat(entry, dir_fd=here, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            self._follow(entry, parts)
            return None
        if parts:
            self._fds.append(os.open(entry, _DIRECTORY | os.O_NOFOLLOW, dir_fd=here))
            return None
        if not stat.S_ISREG(status.st_mode):
            raise NotFound("a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file")
        return self._file(entry)

    def _file(self, entry: bytes) -> tuple[int, os.stat_result]:
        fd = os.open(entry, _FILE, dir_fd=self._fds[-1])
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):  # swapped since it was looked at
            os.close(fd)
            raise NotFound("not a regular file")
        return fd, status

    def _follow(self, entry: bytes, parts: list[str]) -> None:
        self._links += 1
        if self._links > MAXIMUM_LINKS:
            raise NotFound("too many links")
        target = os.readlink(entry, dir_fd=self._fds[-1]).decode("utf-8", "surrogateescape")
        if target.startswith("/"):
            target = self._below(target)
            while len(self._fds) > 1:
                os.close(self._fds.pop())
        parts.extend(reversed(target.split("/")))

    def _below(self, target: str) -> str:
        """An absolute link's target, as seen from the root; it may say the root as configured or as it really is."""
        for root in (self._root, os.path.realpath(self._root)):
            prefix = root.rstrip("/") + "/"
            if target.startswith(prefix):
                return target[len(prefix) :]
        raise NotFound("leads out of the root")

    def _similar(self, part: str) -> bytes:
        fd = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._fds[-1])
        try:
            wanted = part.casefold()
            for entry in sorted(os.listdir(fd)):  # noqa: PTH208 - a descriptor
                if entry.casefold() == wanted:
                    return os.fsencode(entry)
        finally:
            os.close(fd)
        raise NotFound("no such file")
