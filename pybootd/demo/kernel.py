"""A Linux kernel of this host for the machine, and the modules that it needs for its network card."""

from __future__ import annotations

import gzip
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from pybootd.errors import EnvironmentProblem

WANTED = ("virtio_pci", "virtio_net")
"""The card, and the bus that it is on."""

_DEPENDS = re.compile(rb"\0?depends=([\w,-]*)\0")
_MAGIC = slice(0x202, 0x206)
"""Where an x86 kernel says C{HdrS} (Documentation/arch/x86/boot.rst)."""


@frozen
class Kernel:
    """A kernel that can be started."""

    path: Path
    version: str
    modules: Sequence[tuple[str, bytes]]
    """Name and content, in the order in which they are loaded; none for what is built in."""


def find(system: Path) -> Kernel | None:
    """
    The kernel that starts quickest: one made for virtual machines, else the newest.

    @param system: where C{boot} and C{lib/modules} are: C{/}, or where a kernel's package was unpacked.
    @raise EnvironmentProblem: there is one, but its modules cannot be read.
    """
    for version, path in sorted(_kernels(system), key=_rank, reverse=True):
        modules = _modules(system / "lib/modules" / version)
        if modules is not None:
            return Kernel(path, version, modules)
    return None


def _kernels(system: Path) -> Iterator[tuple[str, Path]]:
    """Versions and files of kernels for PCs."""
    found = [(path.name.removeprefix("vmlinuz-"), path) for path in system.glob("boot/vmlinuz-*")]
    found += [(path.parent.name, path) for path in system.glob("lib/modules/*/vmlinuz")]
    yield from ((version, path) for version, path in found if _is_x86(path))


def _rank(one: tuple[str, Path]) -> tuple[bool, Sequence[int]]:
    version, _ = one
    return "cloud" in version or "virt" in version, [int(number) for number in re.findall(r"\d+", version)]


def _is_x86(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(_MAGIC.stop)[_MAGIC] == b"HdrS"
    except OSError:
        return False


def _modules(directory: Path) -> Sequence[tuple[str, bytes]] | None:
    """What to load, dependencies first; None where a module is neither there nor built in."""
    files = {_name(path): path for path in directory.rglob("*.ko*")}
    built_in = _built_in(directory)
    order: dict[str, bytes] = {}

    def load(name: str) -> bool:
        if name in order or name in built_in:
            return True
        if name not in files:
            return False
        content = _content(files[name])
        complete = all(load(other) for other in _depends(content))
        order[name] = content
        return complete

    return list(order.items()) if all(load(name) for name in WANTED) else None


def _name(path: Path) -> str:
    return path.name.partition(".")[0].replace("-", "_")


def _built_in(directory: Path) -> frozenset[str]:
    try:
        lines = (directory / "modules.builtin").read_text().split()
    except OSError:
        return frozenset()
    return frozenset(_name(Path(line)) for line in lines)


def _depends(module: bytes) -> Iterator[str]:
    """What a module says of itself: C{depends=virtio_ring,virtio}."""
    found = _DEPENDS.search(module)
    if found is not None:
        yield from (name.replace("-", "_") for name in found[1].decode().split(",") if name)


def _content(path: Path) -> bytes:
    """
    A module, unpacked.

    @raise EnvironmentProblem: it cannot be read.
    """
    unpack = _UNPACKERS.get(path.suffix)
    try:
        data = path.read_bytes()
        return unpack(data) if unpack else data
    except (OSError, ImportError, EOFError, subprocess.CalledProcessError) as error:
        raise EnvironmentProblem(f"the kernel's module {path} cannot be unpacked: {error}") from None


def _xz(data: bytes) -> bytes:
    import lzma  # some Pythons are built without it

    try:
        return lzma.decompress(data)
    except lzma.LZMAError as error:
        raise OSError(str(error)) from None


def _zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout


_UNPACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    ".xz": _xz,
    ".gz": gzip.decompress,
    ".zst": _zstd,
}
