"""Which file systems are all memory."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.content import memory
from pybootd.content.memory import device_of, in_memory

LINE = "36 25 {device} / {place} rw,relatime shared:1 - {kind} {kind} rw\n"


class InMemoryTests(SynchronousTestCase):
    """A file, and a table of mounts that says where it is."""

    def setUp(self) -> None:
        self.mounts = Path(self.mktemp())
        self.patch(memory, "MOUNTS", self.mounts)
        memory._all_memory.cache_clear()
        self.addCleanup(memory._all_memory.cache_clear)
        self.mounts.write_text("")
        self.fd = os.open(self.mounts, os.O_RDONLY)
        self.addCleanup(os.close, self.fd)
        device = os.fstat(self.fd).st_dev
        self.device = f"{os.major(device)}:{os.minor(device)}"

    def mounted(self, kind: str, device: str = "") -> None:
        """One more line."""
        with self.mounts.open("a") as file:
            file.write(LINE.format(device=device or self.device, place="/srv", kind=kind))

    def test_memory(self) -> None:
        """tmpfs is, whatever else is mounted."""
        self.mounted("ext4", "999:999")
        self.mounted("tmpfs")
        self.assertTrue(in_memory(self.fd))

    def test_disk(self) -> None:
        """Others are not: file systems of a program, of the network, of layers, although a tmpfs is there too."""
        self.mounted("tmpfs", "999:999")
        for kind in ("fuse.sshfs", "nfs4", "overlay", "ext4"):
            self.mounts.write_text("")
            self.mounted(kind)
            memory._all_memory.cache_clear()
            self.assertFalse(in_memory(self.fd), kind)

    def test_device(self) -> None:
        """A file's device is what it is, whichever way this system tells it."""
        for name in (self.mounts, Path("/dev/null"), Path("/proc/self/stat")):
            with name.open("rb") as file:
                self.assertEqual(device_of(file.fileno()), os.fstat(file.fileno()).st_dev, name)
        for answer in (None, lambda *asked: -1):
            self.patch(memory, "_STATX", answer)
            self.assertEqual(device_of(self.fd), os.fstat(self.fd).st_dev)
        self.assertRaises(OSError, device_of, -1)

    def test_unknown(self) -> None:
        """What cannot be found out is not taken for memory: no line, no table, no file."""
        self.assertFalse(in_memory(self.fd))
        self.assertFalse(in_memory(-1))
        self.mounts.unlink()
        memory._all_memory.cache_clear()
        self.assertFalse(in_memory(self.fd))
