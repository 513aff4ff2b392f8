"""
File systems that are all memory, of which no read waits for a disk, and such as wait for another host or program.

The kernel says of most disks whether a read would have to wait (C{RWF_NOWAIT}), but not of network file systems, of
those made by a program (FUSE) or of a container's layers, nor of tmpfs; of these only the last need not be feared.
"""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache
from pathlib import Path
from struct import unpack_from

KINDS = ("tmpfs", "ramfs", "rootfs", "devtmpfs")
"""All memory."""

DISTANT = ("fuse", "fuseblk", "nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "virtiofs", "afs", "lustre", "gfs2", "ocfs2")
"""File systems that may ask somebody else at each opening, whatever is in memory."""

MOUNTS = Path("/proc/self/mountinfo")

_STATX = getattr(ctypes.CDLL(None), "statx", None) if os.uname().sysname == "Linux" else None
_EMPTY_PATH, _DONT_SYNC = 0x1000, 0x4000
_DEVICE = "136x2I"
"""C{stx_dev_major} and C{stx_dev_minor} in C{struct statx}."""


def in_memory(fd: int) -> bool:
    """Whether an open file is on one of L{KINDS}; no, where that cannot be found out."""
    try:
        return _all_memory(device_of(fd))
    except OSError:
        return False


def is_distant_file(fd: int) -> bool:
    """Whether an open file is on one of L{DISTANT}."""
    try:
        return is_distant(device_of(fd))
    except OSError:
        return False


@lru_cache(maxsize=64)
def is_distant(device: int) -> bool:
    """Whether the file system with that device number is one of L{DISTANT}."""
    kind = kind_of(device)
    return kind in DISTANT or kind.startswith("fuse.")


def device_of(fd: int) -> int:
    """
    The number of an open file's device, without a question to another host or program, as C{fstat} may ask one
    (statx(2), C{AT_STATX_DONT_SYNC}).

    @raise OSError: it cannot be found out.
    """
    answer = bytearray(256)
    if _STATX is not None and fd >= 0:
        place = (ctypes.c_char * len(answer)).from_buffer(answer)
        if not _STATX(fd, b"", _EMPTY_PATH | _DONT_SYNC, 0, place):
            return os.makedev(*unpack_from(_DEVICE, answer))
    return os.fstat(fd).st_dev


@lru_cache(maxsize=64)
def _all_memory(device: int) -> bool:
    return kind_of(device) in KINDS


def kind_of(device: int) -> str:
    """
    The kind of file system that the device with that number has (proc(5), C{mountinfo}: fields 3, and the first after
    the dash); empty: unknown.
    """
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        place, _, kind = line.partition(" - ")
        if place.split()[2:3] == [number]:
            return kind.partition(" ")[0]
    return ""
