"""Which file systems are all memory, and which are another host's."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.content import memory
from pybootd.content.memory import device_of, in_memory, is_distant, is_distant_file

LINE = "36 25 {device} / {place} rw,relatime shared:1 - {kind} {kind} rw\n"


MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 0:50 / /srv/nfs rw - nfs4 server:/export rw
31 21 0:51 / /srv/disk rw shared:5 - fuse.sshfs host: rw
32 21 0:52 / /srv/tmp rw - tmpfs tmpfs rw
"""


class DistantTests(SynchronousTestCase):
    def test_distant(self) -> None:
        """Network file systems, and those made by a program, ask somebody else."""
        mounts = Path(self.mktemp())
        mounts.write_text(MOUNTS)
        self.patch(memory, "MOUNTS", mounts)
        is_distant.cache_clear()
        self.addCleanup(is_distant.cache_clear)
        found = {number: is_distant(os.makedev(*number)) for number in ((8, 1), (0, 50), (0, 51), (0, 52), (9, 9))}
        self.assertEqual(found, {(8, 1): False, (0, 50): True, (0, 51): True, (0, 52): False, (9, 9): False})
        self.assertIn("nfs4", memory.DISTANT)

    def test_file(self) -> None:
        """An open file is, where its file system is; one that is not open is not."""
        self.patch(memory, "is_distant", lambda device: device == os.stat("/").st_dev)  # noqa: PTH116
        fd = os.open("/", os.O_RDONLY)
        self.assertTrue(is_distant_file(fd))
        os.close(fd)
        self.assertFalse(is_distant_file(fd))


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
