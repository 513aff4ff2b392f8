"""What a file is for, by its name: the loader, the kernel, the kernel's initial file system, or something else."""

from __future__ import annotations

import re

LOADER, KERNEL, INITRD, FILE = "loader", "kernel", "initrd", "file"

_KERNEL = re.compile(r"^(vmlinu[xz]|linux|bzimage|zimage|uimage|image|kernel|xen)([-_.\d].*)?$", re.IGNORECASE)
_INITRD = re.compile(
    r"^(initrd|initramfs|uinitrd|rootfs|boot\.wim|core\.gz|.*\.(cpio|squashfs|wim|iso))", re.IGNORECASE
)
_CONFIGURATION = re.compile(r"\.(cfg|conf|ini|ipxe|menu|txt)$|(^|/)pxelinux\.cfg/", re.IGNORECASE)
_NO_LOADER = re.compile(r"\.(cfg|conf|ini|txt|c32|json|ya?ml|sig|dtb)$|(^|/)(pxelinux\.cfg|grub\.cfg)", re.IGNORECASE)


def role_of(name: str, boot_file: str, loaded: bool) -> str:
    """
    The role of a file.

    @param boot_file: what the machine was told to load.
    @param loaded: it has a loader already.
    """
    base = base_of(name)
    if boot_file and base == base_of(boot_file):
        return LOADER
    if _INITRD.match(base):
        return INITRD
    if _KERNEL.match(base) and not base.lower().endswith((".efi", ".cfg", ".txt", ".sig")):
        return KERNEL
    return FILE if loaded or _NO_LOADER.search(name) else LOADER


def configures(name: str) -> bool:
    """Whether a file tells a loader what to do."""
    return bool(_CONFIGURATION.search(name.partition("?")[0]))


def base_of(name: str) -> str:
    """The last part of a path or URL, whatever separates it."""
    return re.split(r"[/\\]", name.partition("?")[0])[-1]
