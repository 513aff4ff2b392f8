"""
Virtual machines with real firmware, emulated by QEMU: they need no hardware virtualisation, so they run anywhere.

Each has a card on a tap of a L{Segment <tests.e2e.support.lab.Segment>}, a fresh copy of the firmware's variables, and
its serial console as a L{Program <tests.e2e.support.program.Program>}.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from uuid import UUID, uuid4

from tests.e2e.support.lab import Segment
from tests.e2e.support.program import Program

OVMF = Path("/usr/share/OVMF")
AAVMF = Path("/usr/share/AAVMF")
EMULATOR = {"amd64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}
ONLY_HTTP = [
    word
    for version in ("IPv4PXESupport", "IPv6PXESupport")
    for word in ("-fw_cfg", f"name=opt/org.tianocore/{version},string=n")
]
"""Makes HTTP boot the card's first boot option (edk2, OvmfPkg/RUNTIME_CONFIG.md)."""


class Firmware(Enum):
    """What stands in the machine's flash memory."""

    BIOS = "SeaBIOS with the card's own boot ROM, which is an iPXE"
    UEFI = "OVMF: PXE"
    UEFI_HTTP = "OVMF: HTTP boot"
    SECURE = "OVMF with Secure Boot and Microsoft's keys: PXE"
    ARM64 = "AAVMF: PXE"

    @property
    def architecture(self) -> str:
        """As Debian calls it."""
        return "arm64" if self is Firmware.ARM64 else "amd64"

    @property
    def needs(self) -> Sequence[str]:
        """The programs and files that such a machine needs."""
        return (EMULATOR[self.architecture], *(str(path) for path in _flash(self)))


class Machine:
    """
    A virtual machine that boots from the network.

    @ivar mac: its hardware address, lower case with colons.
    @ivar uuid: as its owner would read it off.
    @ivar console: what it prints and what is typed there.
    """

    def __init__(
        self,
        segment: Segment,
        scratch: Path,
        firmware: Firmware,
        number: int = 1,
        *,
        memory: int | None = None,
        card: str = "virtio-net-pci",
    ) -> None:
        """
        Switch it on.

        @param number: the last byte of its hardware address.
        @param memory: MB; the default is what its firmware needs for a kernel of 14 MB.
        """
        self.mac = f"52:54:00:12:34:{number:02x}"
        self.uuid: UUID = uuid4()
        self.tap = segment.tap()
        device = f"{card},netdev=n0,mac={self.mac},bootindex=0"
        if firmware is not Firmware.BIOS:
            device += ",romfile="  # the firmware's own driver and PXE client, not the card's ROM
        self.console: Program = segment.namespace.start(
            EMULATOR[firmware.architecture],
            *_BOARD[firmware],
            *("-accel", "tcg", "-m", str(memory or _MEMORY[firmware]), "-uuid", str(self.uuid)),
            *("-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"),
            *_drives(firmware, scratch / f"variables-{self.tap}.fd"),
            *("-netdev", f"tap,id=n0,ifname={self.tap},script=no,downscript=no", "-device", device),
        )

    def off(self) -> None:
        """Pull the plug."""
        self.console.stop()


_BOARD: dict[Firmware, Sequence[str]] = {
    Firmware.BIOS: ("-machine", "pc,graphics=off", "-cpu", "max"),  # no graphics: the serial port has it all
    Firmware.UEFI: ("-machine", "q35", "-cpu", "max"),
    Firmware.UEFI_HTTP: ("-machine", "q35", "-cpu", "max", *ONLY_HTTP),
    Firmware.SECURE: (
        *("-machine", "q35,smm=on", "-cpu", "max"),
        *("-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1"),
    ),
    Firmware.ARM64: ("-machine", "virt", "-cpu", "cortex-a57"),
}
_MEMORY = {
    Firmware.BIOS: 192,
    Firmware.UEFI: 512,
    Firmware.UEFI_HTTP: 512,
    Firmware.SECURE: 512,
    Firmware.ARM64: 512,
}


def _flash(firmware: Firmware) -> Sequence[Path]:
    """The firmware's code and the template of its variables; nothing for a BIOS."""
    match firmware:
        case Firmware.BIOS:
            return ()
        case Firmware.SECURE:
            return OVMF / "OVMF_CODE_4M.ms.fd", OVMF / "OVMF_VARS_4M.ms.fd"
        case Firmware.ARM64:
            return AAVMF / "AAVMF_CODE.fd", AAVMF / "AAVMF_VARS.fd"
        case _:
            return OVMF / "OVMF_CODE_4M.fd", OVMF / "OVMF_VARS_4M.fd"


def _drives(firmware: Firmware, variables: Path) -> Sequence[str]:
    flash = _flash(firmware)
    if not flash:
        return ()
    code, template = flash
    shutil.copyfile(template, variables)
    return (
        *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}"),
        *("-drive", f"if=pflash,format=raw,unit=1,file={variables}"),
    )
