"""
File systems that are all memory, of which no read waits for a disk.

The kernel says of most disks whether a read would have to wait (C{RWF_NOWAIT}), but not of network file systems, of
those made by a program (FUSE) or of a container's layers, nor of tmpfs; of these only the last need not be feared.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

KINDS = ("tmpfs", "ramfs", "rootfs", "devtmpfs")

MOUNTS = Path("/proc/self/mountinfo")


def in_memory(fd: int) -> bool:
    """Whether an open file is on such a file system; no, where that cannot be found out."""
    try:
        return _all_memory(os.fstat(fd).st_dev)
    except OSError:
        return False


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
