"""
What a boot file is, as its first bytes tell, and why firmware of a certain kind cannot start it.

UEFI loads programs of its own processor only, in the PE format (UEFI 2.10 2.1.1; machine types: PE format 3.3.1), and
says no more than "Unsupported" of others.  A program for PC BIOS has no mark at all: of that only what is certainly
something else can be told.  What iPXE can load depends on how it was built: of that nothing is said but the processor.
"""

from __future__ import annotations

from pathlib import Path
from struct import unpack_from

from pybootd.dhcp.architectures import BIOS, BY_NUMBER

HEAD = 4096
"""So many bytes tell: the PE header of the usual loaders is within the first few hundred."""

MACHINES = {
    0x014C: "ia32", 0x8664: "x64", 0x0EBC: "ebc", 0x01C0: "arm32", 0x01C2: "arm32", 0x01C4: "arm32", 0xAA64: "arm64",
    0x5032: "riscv32", 0x5064: "riscv64", 0x5128: "riscv128", 0x6232: "loongarch32", 0x6264: "loongarch64",
}  # fmt: skip

BYTE_CODE = "ebc"
"""Runs on every processor; and architectures 7 and 9 are confused (RFC 4578, errata 4624)."""

WEB_PAGE = "a web page"

_OTHERS = (
    (b"\x7fELF", "an ELF program"),
    (b"\x1f\x8b", "a compressed file (gzip)"),
    (b"\xfd7zXZ", "a compressed file (xz)"),
    (b"\x28\xb5\x2f\xfd", "a compressed file (zstd)"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"<!DOCTYPE", WEB_PAGE),
    (b"<html", WEB_PAGE),
    (b"#!ipxe", "an iPXE script"),
)


def head_of(path: str | Path) -> bytes:
    """The first bytes of a local file; empty where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def unfit(head: bytes, architecture: int | None, ipxe: bool = False) -> str:
    """
    What a boot file is that such firmware cannot start; empty where it can, or where there is no telling.

    @param head: its first L{HEAD} bytes.
    @param architecture: the firmware's (DHCP option 93); None: it says nothing, and is taken for a PC BIOS.
    @param ipxe: an iPXE loads it, not the firmware.
    """
    other = _other(head)
    if other:
        return "" if ipxe and other != WEB_PAGE else f"{other}, no boot program"
    if not head or (ipxe and architecture is None):
        return ""
    made_for, processor = _efi(head), _processor(architecture)
    if not processor:
        return f"an EFI program, for {made_for}" if made_for and _is_bios(architecture) and not _is_linux(head) else ""
    if made_for is None:
        return "" if ipxe or BY_NUMBER[architecture or 0].http else "no EFI program"
    if made_for in (processor, BYTE_CODE):
        return ""
    return f"an EFI program for {made_for}, not for {processor}"


def _other(head: bytes) -> str:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((what for mark, what in _OTHERS if start[: len(mark)].lower() == mark.lower()), "")


def _efi(head: bytes) -> str | None:
    """The processor of an EFI program; None where it is none."""
    if head[:2] != b"MZ" or len(head) < 0x40:
        return None
    (at,) = unpack_from("<I", head, 0x3C)
    if head[at : at + 4] != b"PE\0\0" or len(head) < at + 6:
        return None
    (machine,) = unpack_from("<H", head, at + 4)
    return MACHINES.get(machine, f"machine type 0x{machine:04x}")


def _is_linux(head: bytes) -> bool:
    """An x86 kernel, which BIOS loaders start as well (Linux, Documentation/arch/x86/boot.rst)."""
    return head[0x202:0x206] == b"HdrS"


def _processor(architecture: int | None) -> str:
    """The processor of UEFI firmware; empty for other firmware."""
    known = BY_NUMBER.get(-1 if architecture is None else architecture)
    if known is None:
        return ""
    name, _, kind = known.name.removesuffix("-http").partition("-")
    if name == BYTE_CODE:
        return "x64"
    return name if kind == "uefi" else ""


def _is_bios(architecture: int | None) -> bool:
    return architecture is None or BY_NUMBER.get(architecture) is BY_NUMBER[BIOS]
