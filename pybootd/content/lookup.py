"""
Whether the way to a file is in memory, or a disk has to be waited for at its directories.

The kernel tells since Linux 5.12 (openat2(2), C{RESOLVE_CACHED}); not of what another host or program knows, see
L{pybootd.content.memory}.  It is a hint, which decides where a file is opened and not what is found.
"""

from __future__ import annotations

import ctypes
import errno
import os

_OPENAT2 = 437
_AT_FDCWD = -100
_RESOLVE_CACHED = 0x20
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.E2BIG)
"""An older kernel, or a sandbox."""


class _How(ctypes.Structure):
    """C{struct open_how}."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class Lookup:
    """@ivar possible: this system tells."""

    def __init__(self) -> None:
        self.possible = hasattr(os, "O_PATH") and os.uname().sysname == "Linux"
        if self.possible:
            self._call = ctypes.CDLL(None, use_errno=True).syscall
            self._call.restype = ctypes.c_long
            self._call.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t]
            # as a directory, which it is not: there is nothing to close then
            self._how = _How(os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY, 0, _RESOLVE_CACHED)
            self._where = ctypes.byref(self._how)

    def errno(self, path: bytes) -> int:
        """
        Go that way, as far as it is in memory, and open nothing.

        @return: 0: it is, to its end; C{EAGAIN}: it is not, or nobody can tell; C{ENOENT} and others: so much is known.
        """
        if not self.possible:
            return 0
        fd = self._call(_OPENAT2, _AT_FDCWD, path, self._where, ctypes.sizeof(_How))
        if fd >= 0:
            os.close(fd)
            return 0
        error = ctypes.get_errno()
        if error in _UNKNOWN:
            self.possible = False
        return 0 if error == errno.ENOTDIR or not self.possible else error
