"""
A cpio archive in the "new ASCII" format that the kernel unpacks (its Documentation/driver-api/early-userspace).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

File = tuple[int, bytes]
"""Permissions and content."""


def archive(files: Mapping[str, File]) -> Iterator[bytes]:
    """
    The archive, in parts.

    @param files: by name; their directories are added, and C{/dev/console}.
    """
    yield from _entry("dev", 0o040755)
    yield from _entry("dev/console", 0o020600, device=(5, 1))
    for directory in sorted({name.partition("/")[0] for name in files if "/" in name}):
        yield from _entry(directory, 0o040755)
    for name, (mode, content) in files.items():
        yield from _entry(name, 0o100000 | mode, content)
    yield from _entry("TRAILER!!!", 0)


def _entry(name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> Iterator[bytes]:
    path = name.encode() + b"\0"
    # ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    numbers = (0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + path
    yield head + bytes(-len(head) % 4)
    yield content + bytes(-len(content) % 4)
