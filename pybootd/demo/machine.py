"""The virtual machine: QEMU's command line, without hardware virtualisation, so that it runs anywhere."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from pybootd.demo.needs import OVMF, QEMU, Need

MAC = "52:54:00:de:70:01"
TAP = "demo0"
DISK = 64 << 20
"""Bytes of the empty disk; none of them is written."""


def command(firmware: str, found: Mapping[Need, Path], directory: Path) -> list[str]:
    """
    What starts it, with its serial console as standard input and output.

    @param firmware: C{bios} or C{uefi}.
    @param directory: for the disk and the firmware's variables.
    """
    disk = directory / "disk.img"
    with disk.open("wb") as file:
        file.truncate(DISK)
    return [
        str(found[QEMU]),
        *(_uefi(found[OVMF], directory) if firmware == "uefi" else _BIOS),
        *("-accel", "tcg", "-cpu", "max", "-m", "512"),
        *("-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"),
        *("-drive", f"if=virtio,format=raw,file={disk}"),
        *("-netdev", f"tap,id=n0,ifname={TAP},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=n0,mac={MAC},bootindex=0" + (",romfile=" if firmware == "uefi" else "")),
    ]


_BIOS: Sequence[str] = ("-machine", "pc,graphics=off")
"""Without graphics all that the firmware says comes by the serial port."""


def _uefi(code: Path, directory: Path) -> Sequence[str]:
    variables = directory / "variables.fd"
    shutil.copyfile(code.with_name(code.name.replace("CODE", "VARS")), variables)
    return (
        *("-machine", "q35"),
        *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}"),
        *("-drive", f"if=pflash,format=raw,unit=1,file={variables}"),
    )
