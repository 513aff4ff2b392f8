"""What is missing is said, with the command that installs it."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.demo.needs import FIRMWARE, IP, QEMU, ROM, installer, look, remedy, static


class LookTests(SynchronousTestCase):
    """L{look}"""

    def setUp(self) -> None:
        """An empty system."""
        self.root = Path(self.mktemp())
        self.root.mkdir()

    def test_program(self) -> None:
        """A program is where it is found, or missing."""
        found = look([IP, QEMU], self.root, {"ip": "/sbin/ip"}.get)
        self.assertEqual((found.paths, found.missing), ({IP: Path("/sbin/ip")}, [QEMU]))

    def test_file(self) -> None:
        """A file may be in one of several places."""
        rom = self.root / "usr/share/qemu/pxe-virtio.rom"
        rom.parent.mkdir(parents=True)
        rom.touch()
        self.assertEqual(look([ROM], self.root).paths, {ROM: rom})

    def test_static(self) -> None:
        """A program that asks for the loader of libraries is not static."""
        program = self.root / "busybox"
        program.write_bytes(b"\x7fELF")
        self.assertTrue(static(program))
        program.write_bytes(b"\x7fELF/lib64/ld-linux-x86-64.so.2\0")
        self.assertFalse(static(program))


class RemedyTests(SynchronousTestCase):
    """L{remedy}"""

    def test_command(self) -> None:
        """All that is missing, and one command for all of it."""
        said = remedy([IP, QEMU], "apt-get")
        self.assertIn("ip; QEMU for PCs", said)
        self.assertEqual(said.splitlines()[-1], "Install it: sudo apt-get install iproute2 qemu-system-x86")

    def test_no_command(self) -> None:
        """Where it is not known how this host installs programs, only what is missing."""
        self.assertEqual(remedy([QEMU], None), "the demonstration needs what is not here: QEMU for PCs")

    def test_installer(self) -> None:
        """The first of those that are known."""
        self.assertEqual(installer({"dnf": "/usr/bin/dnf"}.get), "dnf")
        self.assertIsNone(installer({}.get))

    def test_every_package(self) -> None:
        """Whatever a machine needs, each known program can install it."""
        for need in (IP, QEMU, *(need for needs in FIRMWARE.values() for need in needs)):
            self.assertEqual(set(need.packages), {"apt-get", "dnf"}, need.what)
