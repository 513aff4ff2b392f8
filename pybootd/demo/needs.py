"""What the demonstration needs of this host, and how to get what is missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from attrs import frozen

SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are; root's PATH may lack half of it."""


@frozen(eq=False)
class Need:
    """One thing."""

    what: str
    """For people."""
    packages: Mapping[str, str]
    """Its package, by the program that installs it."""
    program: str = ""
    files: Sequence[str] = ()
    """Or one of these files, as patterns below C{/}."""

    def find(self, root: Path = Path("/"), which: Callable[[str], str | None] | None = None) -> Path | None:
        """Where it is."""
        found = (which or program)(self.program) if self.program else None
        if found is not None:
            return Path(found)
        return next((path for pattern in self.files for path in sorted(root.glob(pattern)) if path.exists()), None)


def program(name: str) -> str | None:
    """Where a program is."""
    return shutil.which(name, path=SEARCHED)


IP = Need("ip", {"apt-get": "iproute2", "dnf": "iproute"}, "ip")
UNSHARE = Need("unshare", {"apt-get": "util-linux", "dnf": "util-linux"}, "unshare")
QEMU = Need("QEMU for PCs", {"apt-get": "qemu-system-x86", "dnf": "qemu-system-x86-core"}, "qemu-system-x86_64")
ROM = Need(
    "the boot ROM of QEMU's network card",
    {"apt-get": "ipxe-qemu", "dnf": "ipxe-roms-qemu"},
    files=[f"usr/{place}/pxe-virtio.rom" for place in ("lib/ipxe/qemu", "share/qemu", "share/ipxe", "share/ipxe/qemu")],
)
OVMF = Need(
    "OVMF, the UEFI firmware",
    {"apt-get": "ovmf", "dnf": "edk2-ovmf"},
    files=["usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/edk2/ovmf/OVMF_CODE.fd", "usr/share/OVMF/OVMF_CODE.fd"],
)
SNPONLY = Need(
    "iPXE for UEFI",
    {"apt-get": "ipxe", "dnf": "ipxe-bootimgs-x86"},
    files=["usr/lib/ipxe/snponly.efi", "usr/share/ipxe/ipxe-snponly-x86_64.efi"],
)
BUSYBOX = Need("busybox, linked statically", {"apt-get": "busybox-static", "dnf": "busybox"}, "busybox")
KERNEL = Need("a Linux kernel for PCs, with its modules", {"apt-get": "linux-image-cloud-amd64", "dnf": "kernel-core"})

FIRMWARE = {"bios": (ROM,), "uefi": (OVMF, SNPONLY)}
"""What each kind of machine needs beside the rest."""


@frozen
class Found:
    """What is there, and what is not."""

    paths: Mapping[Need, Path]
    missing: Sequence[Need]


def look(needs: Collection[Need], root: Path = Path("/"), which: Callable[[str], str | None] = program) -> Found:
    """
    Look for all of them.

    @param which: where a program is.
    """
    found = [(need, need.find(root, which)) for need in needs]
    return Found(
        {need: path for need, path in found if path is not None}, [need for need, path in found if path is None]
    )


def static(path: Path) -> bool:
    """Whether a program runs without libraries: its header asks for no interpreter."""
    with path.open("rb") as file:
        return b"/ld-" not in file.read(4096)


def remedy(missing: Sequence[Need], installer: str | None) -> str:
    """
    What to do, in one sentence.

    @param installer: the program that installs packages here, where it is one that is known.
    """
    what = "; ".join(need.what for need in missing)
    packages = [need.packages[installer] for need in missing if installer in need.packages] if installer else []
    if len(packages) != len(missing):
        return f"the demonstration needs what is not here: {what}"
    return (
        f"the demonstration needs what is not here: {what}\nInstall it: sudo {installer} install {' '.join(packages)}"
    )


def installer(which: Callable[[str], str | None] = program) -> str | None:
    """The program that installs packages here."""
    return next((name for name in ("apt-get", "dnf") if which(name)), None)
