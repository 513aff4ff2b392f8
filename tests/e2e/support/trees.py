"""
The boot files around the payload, as copies: a server may refuse links that leave its root.

Each function fills a directory and returns the boot file's name.  C{words} are those of
L{tests.e2e.support.payload.command_line}.
"""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

from tests.e2e.support import debian, payload
from tests.e2e.support.image import efi_image

PXELINUX = Path("/usr/lib/PXELINUX")
SYSLINUX = Path("/usr/lib/syslinux/modules/bios")
GRUB = Path("/usr/lib/grub/x86_64-efi-signed")
SHIM = Path("/usr/lib/shim/shimx64.efi.signed")
IPXE = Path("/usr/lib/ipxe")
NEEDED = (PXELINUX / "pxelinux.0", SYSLINUX / "ldlinux.c32", GRUB / "grubnetx64.efi.signed", SHIM, IPXE / "snponly.efi")


def pxelinux(root: Path, token: str, *, loader: str = "pxelinux.0", **words: str) -> str:
    """pxelinux and its configuration, kernel and initial file system over TFTP."""
    _kernel(root)
    shutil.copy(PXELINUX / loader, root)
    shutil.copy(SYSLINUX / "ldlinux.c32", root)
    (root / "pxelinux.cfg").mkdir()
    (root / "pxelinux.cfg/default").write_text(pxelinux_configuration(token, **words))
    return loader


def pxelinux_configuration(token: str, **words: str) -> str:
    """What pxelinux reads; C{IPAPPEND} hands its own address over."""
    return (
        "SERIAL 0 115200\nDEFAULT payload\nPROMPT 0\n"
        "LABEL payload\n  KERNEL linux\n  INITRD initrd.gz\n"
        f"  APPEND {payload.command_line(token, **words)}\n  IPAPPEND 3\n"
    )


def grub(root: Path, token: str, architecture: str = "amd64", **words: str) -> str:
    """GRUB as Debian signs it, which asks for C{/grub/grub.cfg}, kernel and initial file system over TFTP."""
    _kernel(root, architecture)
    (root / "grub").mkdir()
    command_line = payload.command_line(token, architecture, address="$net_default_ip", **words)
    (root / "grub/grub.cfg").write_text(f"linux /linux {command_line}\ninitrd /initrd.gz\nboot\n")
    if architecture == "amd64":
        shutil.copy(GRUB / "grubnetx64.efi.signed", root / "grubx64.efi")
        return "grubx64.efi"
    signed = debian.unpacked("grub-efi-arm64-signed", architecture)
    shutil.copy(next(signed.glob("**/grubnetaa64.efi.signed")), root / "grubaa64.efi")
    return "grubaa64.efi"


def shim(root: Path, token: str, **words: str) -> str:
    """shim, which loads GRUB under Secure Boot."""
    grub(root, token, **words)
    shutil.copy(SHIM, root / "shimx64.efi")
    return "shimx64.efi"


def ipxe(root: Path, token: str, url: str, **words: str) -> str:
    """
    An iPXE script that boots the payload.

    @param url: where the kernel and the initial file system are: what stands before their names.
    @return: the script's name; the programs C{undionly.kpxe} and C{snponly.efi} are there too.
    """
    _kernel(root)
    for program in ("undionly.kpxe", "snponly.efi"):
        shutil.copy(IPXE / program, root)
    command_line = payload.command_line(token, address="${net0/ip}", **words)
    (root / "boot.ipxe").write_text(
        f"#!ipxe\nkernel {url}linux initrd=initrd.gz {command_line}\ninitrd {url}initrd.gz\nboot\n"
    )
    return "boot.ipxe"


def one_image(root: Path, token: str, architecture: str = "amd64", **words: str) -> str:
    """All of it in one EFI program."""
    (root / "payload.efi").write_bytes(efi_image(token, architecture, **words))
    return "payload.efi"


def _kernel(root: Path, architecture: str = "amd64") -> None:
    kernel = payload.kernel(architecture).read_bytes()
    # arm64's is an uncompressed image, which GRUB takes compressed: a third of the bytes
    (root / "linux").write_bytes(kernel if architecture == "amd64" else gzip.compress(kernel, 6))
    (root / "initrd.gz").write_bytes(payload.initramfs(architecture))
