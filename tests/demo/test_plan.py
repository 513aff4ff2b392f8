"""What is served, what the daemon is told, what the machine is made of."""

from __future__ import annotations

import gzip
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.config.reader import read
from pybootd.demo import machine, plan
from pybootd.demo.initramfs import UP, initramfs
from pybootd.demo.kernel import Kernel
from pybootd.demo.needs import BUSYBOX, OVMF, QEMU, SNPONLY


class PlanTests(SynchronousTestCase):
    """L{plan.prepare}"""

    def setUp(self) -> None:
        """A system with everything."""
        self.place = Path(self.mktemp())
        self.place.mkdir()
        names = {"busybox": BUSYBOX, "qemu": QEMU, "OVMF_CODE_4M.fd": OVMF, "snponly.efi": SNPONLY}
        for name in (*names, "OVMF_VARS_4M.fd", "vmlinuz"):
            (self.place / name).write_text(name)
        self.found = {need: self.place / name for name, need in names.items()}
        self.kernel = Kernel(self.place / "vmlinuz", "6.1.0", [("virtio_net", b"module")])
        self.directory = self.place / "demo"
        self.directory.mkdir()

    def prepare(self, firmware: str) -> plan.Plan:
        return plan.prepare(self.directory, firmware, self.kernel, self.found, (18067, 9))

    def test_bios(self) -> None:
        """The card's ROM is an iPXE already: script, kernel and system are all that is served."""
        made = self.prepare("bios")
        served = {path.name for path in (self.directory / "root").iterdir()}
        self.assertEqual(served, {"boot.ipxe", "initrd.gz", "linux"})
        self.assertIn(made.mark, (self.directory / "root/boot.ipxe").read_text())
        self.assertNotIn("romfile=", " ".join(made.machine))

    def test_uefi(self) -> None:
        """UEFI is given iPXE first, and variables of its own."""
        made = self.prepare("uefi")
        self.assertTrue((self.directory / "root/snponly.efi").exists())
        self.assertEqual((self.directory / "variables.fd").read_text(), "OVMF_VARS_4M.fd")
        self.assertIn("romfile=", " ".join(made.machine))

    def test_saved(self) -> None:
        """A plan is the same after it was written down and read."""
        made = self.prepare("bios")
        made.save(self.directory / "plan.json")
        self.assertEqual(plan.Plan.load(self.directory / "plan.json"), made)

    def test_configuration(self) -> None:
        """The daemon's configuration is right; leases are kept nowhere, and the dashboard's port is its socket's."""
        config = read(plan.configuration(18067), directory=self.directory)
        self.assertEqual((config.leases.store, config.httpd.enable), ("memory", True))
        self.assertEqual((config.status.enable, config.status.port), (True, 18067))

    def test_disk(self) -> None:
        """The disk is empty, and takes no room."""
        self.prepare("bios")
        disk = self.directory / "disk.img"
        self.assertEqual((disk.stat().st_size, disk.stat().st_blocks), (machine.DISK, 0))


class InitramfsTests(SynchronousTestCase):
    """L{initramfs}"""

    def test_archive(self) -> None:
        """An archive as the kernel unpacks it: each entry begins at a multiple of four, the last one says so."""
        archive = gzip.decompress(initramfs(b"BUSYBOX!", [("a", b"1"), ("b", b"23")]))
        files, offset = {}, 0
        while offset < len(archive):
            head = archive[offset : offset + 110]
            self.assertEqual(head[:6], b"070701")
            fields = [int(head[6 + 8 * number : 14 + 8 * number], 16) for number in range(13)]
            mode, size, length = fields[1], fields[6], fields[11]
            name = archive[offset + 110 : offset + 109 + length].decode()
            content = offset + (110 + length + 3) // 4 * 4
            files[name] = (mode, archive[content : content + size])
            offset = content + (size + 3) // 4 * 4
        self.assertEqual(list(files)[-1], "TRAILER!!!")
        self.assertEqual(files["bin/busybox"], (0o100755, b"BUSYBOX!"))
        self.assertEqual((files["modules/order"][1], files["modules/b"][1]), (b"a\nb\n", b"23"))
        self.assertEqual(files["init"][0], 0o100755)
        self.assertIn(f'echo "{UP} $mark"'.encode(), files["init"][1])
