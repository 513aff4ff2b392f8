"""
Booting side by side: from power-on to the first line of the booted system, with pybootd, and with dnsmasq and nginx.

    sudo python -m benchmarks.boot [--rounds 3] [--only bios] [--write]

Virtual machines with real firmware, emulated, one after another: a BIOS machine by its card's own ROM and pxelinux, a
BIOS machine whose ROM is an iPXE and runs a script over HTTP, and a UEFI machine by GRUB.  All serve the same files.
There is no IPv6 router, which an iPXE looks for unless it is told so: pybootd boots once without, once with
C{router_advertisement}.  Needs root and the packages in script/packages.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from attrs import frozen

from benchmarks import report
from benchmarks.lab import machine, table
from tests.e2e.support import servers, trees
from tests.e2e.support.lab import Lab
from tests.e2e.support.machines import Firmware, Machine

SERVER = "10.77.0.1"
FIRST, LAST = "10.77.0.100", "10.77.0.119"
LIMIT = 180
"""Seconds for one boot."""

SYSTEM = "PAYLOAD token"
"""What the system that is booted says first; its kernel is told to be quiet."""


@frozen
class Case:
    """One way to boot."""

    name: str
    title: str
    firmware: Firmware
    plant: Callable[[Path], str]
    """Fills the root; the boot file's name."""
    pybootd: str
    """The option of C{[bootfile]}."""
    http: bool = False


def script(root: Path) -> str:
    """The address of an iPXE script."""
    return f"http://{SERVER}/" + trees.ipxe(root, "benchmark", f"http://{SERVER}/")


CASES = (
    Case("bios", "BIOS, pxelinux", Firmware.BIOS, lambda root: trees.pxelinux(root, "benchmark"), "bios"),
    Case("ipxe", "BIOS, iPXE by HTTP", Firmware.BIOS, script, "ipxe", http=True),
    Case("uefi", "UEFI, GRUB", Firmware.UEFI, lambda root: trees.grub(root, "benchmark"), "x64-uefi"),
)


def pybootd(lab: Lab, root: Path, case: Case, file: str, advertise: str = "no") -> None:
    """pybootd alone."""
    configuration = {
        "bootpd": {"pool_start": FIRST, "pool_count": 20, "dns": SERVER, "router_advertisement": advertise},
        "tftpd": {"root": root},
        "httpd": {"root": root},
        "bootfile": {"bios": "undionly.kpxe", case.pybootd: file},
    }
    ports = [("udp", 67), ("udp", 69), *([("tcp", 80)] if case.http else [])]
    flags = ["-H"] if case.http else []
    servers.Pybootd(lab.server, lab.directory("daemon"), configuration, *flags, ports=ports)


def peers(lab: Lab, root: Path, case: Case, file: str) -> None:
    """dnsmasq, with nginx where there is HTTP."""
    options = [f"dhcp-range={FIRST},{LAST},255.255.255.0,24h", "enable-tftp", f"tftp-root={root}", f"dhcp-boot={file}"]
    servers.dnsmasq(lab, lab.server, lab.segment.bridge, *options)
    if case.http:
        servers.nginx(lab, lab.server, root)


SERVERS: dict[str, Callable[[Lab, Path, Case, str], None]] = {
    "pybootd": pybootd,
    "with router_advertisement": partial(pybootd, advertise="yes"),
    "dnsmasq, nginx": peers,
}


def measure(case: Case, serve: Callable[[Lab, Path, Case, str], None]) -> float:
    """Seconds from power-on to the first line of the booted system."""
    lab = Lab()
    try:
        root = lab.directory("root")
        serve(lab, root, case, case.plant(root))
        begin = time.monotonic()
        booted = Machine(lab.segment, lab.scratch, case.firmware)
        try:
            booted.console.expect(SYSTEM, LIMIT)
            return time.monotonic() - begin
        finally:
            booted.off()
    finally:
        lab.close()


def main() -> None:
    """Run, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help=", ".join(case.name for case in CASES))
    parser.add_argument("--write", action="store_true", help="into docs/performance.rst")
    options = parser.parse_args()
    cases = [case for case in CASES if options.only in ("", case.name)]
    results: dict[str, dict[str, list[float]]] = {case.title: {name: [] for name in SERVERS} for case in cases}
    for _ in range(options.rounds):
        for case in cases:
            for name, serve in SERVERS.items():
                results[case.title][name].append(measure(case, serve))
    print(machine())
    print(tables(results))
    if options.write:
        report.put("boot", f"{report.heading('benchmarks.boot')}\n\n{tables(results)}", plot(results))


def compared(seen: dict[str, list[float]]) -> Sequence[report.Spread | None]:
    """Each server's time, to that of the peers in the same round."""
    return [report.ratios(seen[name], seen["dnsmasq, nginx"]) for name in SERVERS]


def tables(results: dict[str, dict[str, list[float]]]) -> str:
    """Seconds, and the ratio."""
    rows = []
    for title, seen in results.items():
        times = [report.text(report.spread(seen[name]), 1) for name in SERVERS]
        rows.append([title, *times, *(report.text(one) for one in compared(seen)[:2])])
    return table(["boot", *(f"{name}, s" for name in SERVERS), "pybootd to the others", "with it"], rows)


def plot(results: dict[str, dict[str, list[float]]]) -> str:
    """Times, to those of the peers."""
    columns = zip(*(compared(seen) for seen in results.values()), strict=True)
    series = {name: list(values) for name, values in zip(SERVERS, columns, strict=True)}
    return report.bars(
        "boot", "seconds to the first line of the booted system, to dnsmasq and nginx", list(results), series
    )


if __name__ == "__main__":
    main()
