"""
One EFI program with kernel, command line and initial file system in it: what UEFI can boot without any loader.

systemd-boot's stub finds its parts in PE sections of fixed names; here they are appended to it.  Nobody has signed
the result, so Secure Boot refuses it.
"""

from __future__ import annotations

import struct
from pathlib import Path

from tests.e2e.support import debian, payload

READABLE_DATA = 0x40000040
"""A section's characteristics: initialised data that may be read (PE/COFF specification, section 4.1)."""


def efi_image(token: str, architecture: str = "amd64", **words: str) -> bytes:
    """
    The payload as one EFI program (16 MB for amd64).

    @param words: as for L{payload.command_line}.
    """
    stub = next(debian.unpacked("systemd-boot-efi", architecture).glob("usr/lib/systemd/boot/efi/linux*.efi.stub"))
    sections = {
        b".cmdline": payload.command_line(token, architecture, **words).encode() + b"\0",
        b".linux": payload.kernel(architecture).read_bytes(),
        b".initrd": payload.initramfs(architecture),
    }
    return _with_sections(stub, sections)


def _with_sections(stub: Path, sections: dict[bytes, bytes]) -> bytes:
    image = bytearray(stub.read_bytes())
    (pe,) = struct.unpack_from("<I", image, 0x3C)
    count, optional = struct.unpack_from("<H12xH", image, pe + 6)
    header = pe + 24
    file_alignment, size_of_image, size_of_headers = struct.unpack_from("<I16xII", image, header + 36)
    entry = header + optional + 40 * count
    if entry + 40 * len(sections) > size_of_headers:
        raise ValueError(f"{stub} has no room for {len(sections)} more sections")
    end = size_of_image
    for name, content in sections.items():
        address = -(-end // 4096) * 4096
        image += bytes(-len(image) % file_alignment)
        stored = len(content) + -len(content) % file_alignment
        fields = (name, len(content), address, stored, len(image), 0, 0, 0, 0, READABLE_DATA)
        struct.pack_into("<8sIIIIIIHHI", image, entry, *fields)
        image += content.ljust(stored, b"\0")
        end = address + len(content)
        entry += 40
    struct.pack_into("<H", image, pe + 6, count + len(sections))
    struct.pack_into("<I", image, header + 56, -(-end // 4096) * 4096)
    return bytes(image)
