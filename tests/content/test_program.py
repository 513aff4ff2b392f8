"""What a boot file is, by its first bytes."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.program import head_of, unfit
from tests.support.programs import ARM64, BYTE_CODE, IA32, RISCV64, X64, efi

LINUX = efi(X64).ljust(0x202, b"\0") + b"HdrS"
NBP = b"\xea\x05\x00\xc0\x07" + bytes(600)
"""Real mode code: nothing tells that it is a boot program."""


class UnfitTests(SynchronousTestCase):
    """L{unfit}."""

    def test_processors(self) -> None:
        """UEFI starts programs of its own processor, in whichever of its numbers it says that."""
        for architecture, machine in (
            (7, X64),
            (9, X64),
            (16, X64),
            (6, IA32),
            (11, ARM64),
            (19, ARM64),
            (27, RISCV64),
        ):
            self.assertEqual(unfit(efi(machine), architecture), "", str(architecture))
        self.assertEqual(unfit(efi(ARM64), 7), "an EFI program for arm64, not for x64")
        self.assertEqual(unfit(efi(X64), 9), "")
        self.assertEqual(unfit(efi(X64), 6), "an EFI program for x64, not for ia32")
        self.assertEqual(unfit(efi(IA32), 16), "an EFI program for ia32, not for x64")
        self.assertEqual(unfit(efi(0x1234), 11), "an EFI program for machine type 0x1234, not for arm64")

    def test_byte_code(self) -> None:
        """EFI byte code runs everywhere."""
        self.assertEqual([unfit(efi(BYTE_CODE), one) for one in (6, 7, 11)], ["", "", ""])

    def test_bios(self) -> None:
        """A PC BIOS, or who says nothing of itself: whatever is not certainly something else."""
        for architecture in (0, None):
            self.assertEqual(unfit(NBP, architecture), "")
            self.assertEqual(unfit(LINUX, architecture), "")
            self.assertEqual(unfit(efi(X64), architecture), "an EFI program, for x64")

    def test_no_efi(self) -> None:
        """A program for PC BIOS means nothing to UEFI; HTTP boot takes disk images."""
        self.assertEqual(unfit(NBP, 7), "no EFI program")
        self.assertEqual(unfit(b"MZ", 11), "no EFI program")
        self.assertEqual(unfit(b"MZ" + b"\xff" * 100, 11), "no EFI program")
        self.assertEqual(unfit(NBP, 16), "")
        self.assertEqual(unfit(LINUX, 7), "")

    def test_others(self) -> None:
        """What is no program for anybody's firmware, with its name."""
        for head, what in (
            (b"#!ipxe\n", "an iPXE script"),
            (b"\xef\xbb\xbf\r\n<!doctype html>", "a web page"),
            (b"<html>", "a web page"),
            (b"\x7fELF\x02", "an ELF program"),
            (b"\x1f\x8b\x08", "a compressed file (gzip)"),
        ):
            for architecture in (0, 7, None):
                self.assertEqual(unfit(head, architecture), f"{what}, no boot program")

    def test_ipxe(self) -> None:
        """iPXE starts much, but no web page, and nothing of another processor."""
        for head in (b"#!ipxe\n", b"\x7fELF", NBP, efi(X64)):
            self.assertEqual(unfit(head, 7, ipxe=True), "")
        self.assertEqual(unfit(efi(ARM64), None, ipxe=True), "")
        self.assertEqual(unfit(efi(ARM64), 7, ipxe=True), "an EFI program for arm64, not for x64")
        self.assertEqual(unfit(b"<html>", None, ipxe=True), "a web page, no boot program")

    def test_elsewhere(self) -> None:
        """Of firmware that is neither, and of a file that cannot be read, there is no telling."""
        self.assertEqual(unfit(efi(X64), 22), "")
        self.assertEqual(unfit(efi(X64), 60000), "")
        self.assertEqual(unfit(b"", 7), "")


class HeadTests(SynchronousTestCase):
    """L{head_of}."""

    def test_read(self) -> None:
        """The first bytes; none of a file that is not there."""
        file = Path(self.mktemp())
        file.write_bytes(b"x" * 10_000)
        self.assertEqual(head_of(file), b"x" * 4096)
        self.assertEqual(head_of(file / "y"), b"")
