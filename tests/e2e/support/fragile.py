"""
A disk that loses what was not synced, and may be slow: C{/usr/bin/python3 fragile.py MOUNTPOINT [DIRECTORY]}, with
Debian's C{python3-pyfuse3}.

One directory of files, in memory; those of C{DIRECTORY} are there from the beginning.  As on a real disk, a write is in
a cache until C{fsync}; when the power is cut, any 512 bytes of what is in the cache may have reached the disk, in any
order, or not; a new name, a removed or a changed one counts when the directory was synced, and before that perhaps.
Commands come on standard input, one a line, each answered by C{done}:

    ================== =============================================================================
    cut DIRECTORY SEED what would be on the disk if the power were cut now goes into this directory
    slow SECONDS       from now on a read takes so long, and those of one file go one after the other
    names SECONDS      from now on a name is looked up so long
    forgets            nothing of a file that is opened from now on stays in memory
    hangs              from now on nothing is read, until it C{recovers}
    fault NAME         from now on writing fails with this error (C{EROFS}, C{EIO}), or not (C{none})
    ================== =============================================================================
"""

from __future__ import annotations

import errno
import os
import random
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyfuse3
import trio

SECTOR = 512
ROOT = pyfuse3.ROOT_INODE

Chance = Callable[[], bool]


def write(data: bytearray, offset: int, new: bytes) -> None:
    """Write into a file, which grows where it must."""
    if offset > len(data):
        data.extend(bytes(offset - len(data)))
    data[offset : offset + len(new)] = new


def resize(data: bytearray, size: int) -> None:
    """Cut a file off, or lengthen it with zeros."""
    del data[size:]
    data.extend(bytes(size - len(data)))


class File:
    """A file as programs see it, as it is on the disk, and what is between the two."""

    def __init__(self, mode: int, owner: tuple[int, int]) -> None:
        self.mode, self.owner = mode, owner
        self.data = bytearray()
        self.disk = bytearray()
        self.cache: list[tuple[int, bytes | None]] = []
        """Writes: where, and what; None: the file was cut off or lengthened there."""
        self.turn = trio.Lock()

    def write(self, offset: int, new: bytes) -> None:
        """To the cache."""
        write(self.data, offset, new)
        self.cache.append((offset, new))

    def resize(self, size: int) -> None:
        """To the cache."""
        resize(self.data, size)
        self.cache.append((size, None))

    def sync(self) -> None:
        """Everything is on the disk."""
        self.survivors(self.disk, lambda: True)
        self.cache.clear()

    def survivors(self, disk: bytearray, chance: Chance) -> None:
        """Each sector of each write in the cache reaches the disk, if chance has it so."""
        for offset, new in self.cache:
            if new is None:
                if chance():
                    resize(disk, offset)
                continue
            end = offset + len(new)
            while offset < end:
                step = min(SECTOR - offset % SECTOR, end - offset)
                if chance():
                    write(disk, offset, new[len(new) - (end - offset) :][:step])
                offset += step


class Disk(pyfuse3.Operations):  # type: ignore[misc]
    """The file system."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[int, File] = {}
        self.names: dict[bytes, int] = {}
        self.synced: dict[bytes, int] = {}
        self.changes: list[tuple[bytes, int | None]] = []
        """Names that were made or removed since the directory was synced."""
        self.next = ROOT + 1
        self.fault = 0
        self.delay = 0.0
        self.seek = 0.0
        self.forgets = False
        self.answers = trio.Event()
        self.answers.set()

    def load(self, directory: Path) -> None:
        """These files are on the disk."""
        for path in sorted(directory.iterdir()):
            inode, self.next = self.next, self.next + 1
            file = self.files[inode] = File(0o600, (os.getuid(), os.getgid()))
            file.write(0, path.read_bytes())
            file.sync()
            self.names[os.fsencode(path.name)] = self.synced[os.fsencode(path.name)] = inode

    # commands

    def cut(self, directory: Path, seed: int) -> None:
        """What a power cut would leave."""
        chance = random.Random(seed)
        share = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        names = dict(self.synced)
        for name, inode in self.changes[: chance.randint(0, len(self.changes))]:
            rename(names, name, inode)
        for name, inode in names.items():
            file = self.files[inode]
            left = bytearray(file.disk)
            file.survivors(left, lambda: chance.random() < share)
            (directory / os.fsdecode(name)).write_bytes(left)

    def command(self, words: Sequence[str]) -> None:
        """One line of input."""
        if words[0] == "cut":
            self.cut(Path(words[1]), int(words[2]))
        elif words[0] == "slow":
            self.delay = float(words[1])
        elif words[0] == "names":
            self.seek = float(words[1])
        elif words[0] == "forgets":
            self.forgets = True
        elif words[0] == "hangs":
            self.answers = trio.Event()
        elif words[0] == "recovers":
            self.answers.set()
        else:
            self.fault = getattr(errno, words[1], 0)
        print("done", flush=True)

    def writable(self) -> None:
        """@raise FUSEError: nothing can be written just now."""
        if self.fault:
            raise pyfuse3.FUSEError(self.fault)

    # what the kernel asks for

    def attributes(self, inode: int) -> Any:
        """Of the directory or of a file."""
        entry = pyfuse3.EntryAttributes()
        entry.st_ino = inode
        entry.attr_timeout = entry.entry_timeout = 0
        if inode == ROOT:
            entry.st_mode, entry.st_nlink = stat.S_IFDIR | 0o755, 2
            return entry
        file = self.files[inode]
        entry.st_mode, entry.st_size = stat.S_IFREG | file.mode, len(file.data)
        entry.st_uid, entry.st_gid = file.owner
        entry.st_nlink = int(inode in self.names.values())
        return entry

    def set(self, name: bytes, inode: int | None) -> None:
        """A name is made, changed or removed."""
        rename(self.names, name, inode)
        self.changes.append((name, inode))

    def inode(self, name: bytes) -> int:
        """@raise FUSEError: there is no such name."""
        if name not in self.names:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return self.names[name]

    async def getattr(self, inode: int, ctx: Any = None) -> Any:
        return self.attributes(inode)

    async def lookup(self, parent_inode: int, name: bytes, ctx: Any = None) -> Any:
        if self.seek:
            await trio.sleep(self.seek)
        return self.attributes(ROOT if name in (b".", b"..") else self.inode(name))

    async def setattr(self, inode: int, attr: Any, fields: Any, fh: Any, ctx: Any) -> Any:
        if inode == ROOT:
            return self.attributes(inode)
        self.writable()
        file = self.files[inode]
        if fields.update_size:
            file.resize(attr.st_size)
        if fields.update_mode:
            file.mode = stat.S_IMODE(attr.st_mode)
        uid, gid = file.owner
        file.owner = (attr.st_uid if fields.update_uid else uid, attr.st_gid if fields.update_gid else gid)
        return self.attributes(inode)

    async def create(self, parent_inode: int, name: bytes, mode: int, flags: int, ctx: Any) -> Any:
        self.writable()
        inode, self.next = self.next, self.next + 1
        self.files[inode] = File(stat.S_IMODE(mode), (ctx.uid, ctx.gid))
        self.set(name, inode)
        return pyfuse3.FileInfo(fh=inode), self.attributes(inode)

    async def open(self, inode: int, flags: int, ctx: Any) -> Any:
        if flags & (os.O_WRONLY | os.O_RDWR):
            self.writable()
        return pyfuse3.FileInfo(fh=inode, direct_io=self.forgets)

    async def read(self, fh: int, off: int, size: int) -> bytes:
        file = self.files[fh]
        await self.answers.wait()
        if self.delay:
            async with file.turn:
                await trio.sleep(self.delay)
        return bytes(file.data[off : off + size])

    async def write(self, fh: int, off: int, buf: bytes) -> int:
        self.writable()
        self.files[fh].write(off, bytes(buf))
        return len(buf)

    async def fsync(self, fh: int, datasync: bool) -> None:
        self.writable()
        self.files[fh].sync()

    async def unlink(self, parent_inode: int, name: bytes, ctx: Any) -> None:
        self.writable()
        self.inode(name)
        self.set(name, None)

    async def rename(
        self, parent_inode_old: int, name_old: bytes, parent_inode_new: int, name_new: bytes, flags: int, ctx: Any
    ) -> None:
        self.writable()
        inode = self.inode(name_old)
        self.set(name_new, inode)
        self.set(name_old, None)

    async def opendir(self, inode: int, ctx: Any) -> int:
        return int(inode)

    async def readdir(self, fh: int, start_id: int, token: Any) -> None:
        for number, (name, inode) in enumerate(sorted(self.names.items()), 1):
            if number > start_id and not pyfuse3.readdir_reply(token, name, self.attributes(inode), number):
                return

    async def fsyncdir(self, fh: int, datasync: bool) -> None:
        self.writable()
        self.synced = dict(self.names)
        self.changes.clear()

    async def flush(self, fh: int) -> None:
        """Closing a file syncs nothing."""

    async def release(self, fh: int) -> None:
        """Files stay until the end: they are few."""

    async def forget(self, inode_list: Any) -> None:
        """So are their numbers."""


def rename(names: dict[bytes, int], name: bytes, inode: int | None) -> None:
    """A name means this file from now on, or none."""
    if inode is None:
        names.pop(name, None)
    else:
        names[name] = inode


async def main(mountpoint: str, *contents: str) -> None:
    """Until the input ends."""
    disk = Disk()
    for directory in contents:
        disk.load(Path(directory))
    pyfuse3.init(disk, mountpoint, {*pyfuse3.default_options, "fsname=fragile", "allow_other"})
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pyfuse3.main)
            print("done", flush=True)
            pending = b""
            while True:
                await trio.lowlevel.wait_readable(0)
                more = os.read(0, 65536)
                if not more:
                    break
                *lines, pending = (pending + more).split(b"\n")
                for line in lines:
                    disk.command(line.decode().split())
            nursery.cancel_scope.cancel()
    finally:
        pyfuse3.close(unmount=True)


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
