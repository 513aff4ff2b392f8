"""What the command prepares and the stage plays: the files to serve, the configuration, the programs to start."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from pybootd.demo import machine
from pybootd.demo.initramfs import initramfs
from pybootd.demo.kernel import Kernel
from pybootd.demo.needs import BUSYBOX, SNPONLY, Need

SERVER = "10.77.0.1"
"""In the namespace; no other network hears of it."""

LIMIT = 180.0
"""Seconds until the machine is given up; on two slow cores it needs a fifteenth of it with BIOS."""


@frozen
class Plan:
    """What the stage plays."""

    daemon: list[str]
    machine: list[str]
    address: str
    """The server's, with its prefix length."""
    tap: str
    mark: str
    """What the system says at its end: it was told so by what was served, so it must have booted from here."""
    ports: list[tuple[str, int]]
    """Protocol and port where the daemon listens once it is ready."""
    socket: int
    """The descriptor of the dashboard's socket, which is outside of the namespace."""
    stay: bool = False
    """Go on serving after the boot, until the end is asked for."""
    limit: float = LIMIT

    def save(self, path: Path) -> None:
        """Write it down."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read what was written down."""
        read: dict[str, Any] = json.loads(path.read_text())
        return cls(**{**read, "ports": [(str(protocol), int(port)) for protocol, port in read["ports"]]})


def prepare(
    directory: Path, firmware: str, kernel: Kernel, found: Mapping[Need, Path], dashboard: tuple[int, int]
) -> Plan:
    """
    Fill the directory.

    @param firmware: C{bios} or C{uefi}.
    @param dashboard: the port and the descriptor of its socket.
    """
    mark = secrets.token_hex(4)
    root = directory / "root"
    root.mkdir()
    shutil.copyfile(kernel.path, root / "linux")
    (root / "initrd.gz").write_bytes(initramfs(found[BUSYBOX].read_bytes(), kernel.modules))
    (root / "boot.ipxe").write_text(script(mark))
    if firmware == "uefi":
        shutil.copyfile(found[SNPONLY], root / "snponly.efi")
    (directory / "pybootd.ini").write_text(configuration(dashboard[0]))
    return Plan(
        daemon=[sys.executable, "-m", "pybootd", "-c", "pybootd.ini"],
        machine=machine.command(firmware, found, directory),
        address=f"{SERVER}/24",
        tap=machine.TAP,
        mark=mark,
        ports=[("udp", 67), ("udp", 69), ("tcp", 80)],
        socket=dashboard[1],
    )


def script(mark: str) -> str:
    """What iPXE runs."""
    words = f"console=ttyS0 quiet loglevel=3 panic=-1 pybootd.demo={mark}"
    files = f"http://{SERVER}"
    return f"#!ipxe\nkernel {files}/linux initrd=initrd.gz {words}\ninitrd {files}/initrd.gz\nboot\n"


def configuration(dashboard: int) -> str:
    """
    The daemon's.

    @param dashboard: its port.
    """
    return f"""[bootpd]
pool_start = 10.77.0.100
domain = demo.example
servername = pybootd
router_advertisement = yes

[leases]
store = memory

[bootfile]
bios = boot.ipxe
x64-uefi = snponly.efi
ipxe = boot.ipxe

[host {machine.MAC}]
hostname = demo

[tftpd]
root = ./root

[httpd]
enable = yes
root = ./root

[status]
enable = yes
port = {dashboard}
"""
