"""The beginnings of boot programs."""

from __future__ import annotations

from struct import pack

X64, IA32, ARM64, RISCV64, BYTE_CODE = 0x8664, 0x014C, 0xAA64, 0x5064, 0x0EBC


def efi(machine: int = X64, at: int = 0x80) -> bytes:
    """The beginning of an EFI program; C{at} is where its PE header stands."""
    return b"MZ".ljust(0x3C, b"\0") + pack("<I", at).ljust(at - 0x3C, b"\0") + b"PE\0\0" + pack("<H", machine)
