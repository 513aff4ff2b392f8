"""
What a slow disk costs: pybootd whose syncs take 8 ms, beside the same with this host's own disk.

    sudo python -m benchmarks.slowdisk [--rounds 3] [--write]

The slow disk is made up: C{slowsync.c}, loaded into the daemon, lets each sync take so much longer.  Every ACK waits
until its lease is on the disk.  Measured are exchanges (DISCOVER, OFFER, REQUEST, ACK) of machines never seen, so many
at a time, and what a TFTP client in lockstep gets meanwhile: alone, then beside new machines, 200 in a second.
The daemon has one core, the loads share the other.  Needs root and gcc.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from benchmarks import report
from benchmarks.dhcp import NEW, Load, daemon, load, ready
from benchmarks.lab import SERVER_ADDRESS, Lab, Process, lab, machine, median, run, table

DISKS = {"this host's": 0, "syncs of 8 ms": 8000}
"""Microseconds that a sync takes longer."""

OUTSTANDING = (32, 128)
"""Machines at a time."""

SECONDS = 4
BESIDE = 200
"""New machines in a second, while a file is fetched."""

FILE = 24 << 20
HERE = Path(__file__).parent


@frozen
class Result:
    """One start."""

    loads: Sequence[Load]
    alone: float
    """MB in a second of a TFTP client, nobody else being there."""

    beside: float
    """The same while new machines come."""

    waited: float
    """ms until the ACK of those, the median."""


def fetch(place: Lab) -> Process:
    """One TFTP client begins to fetch, block by block."""
    words = (place.scratch / "tftpload", SERVER_ADDRESS, "69", "file.bin", FILE, 1, 1, 1468, 1, 0, 0, 0, 0)
    return place.start("tftpload", [str(word) for word in words], where=place.client, core=1)


def fetched(process: Process) -> float:
    """MB in a second."""
    process.popen.wait(60)
    seen = json.loads(process.log.read_text().splitlines()[-1])
    if seen["failed"] or seen["wrong"]:
        raise RuntimeError(f"the file did not arrive: {seen}")
    return float(seen["bytes"] / seen["seconds"] / 1e6)


def measure(place: Lab, delay: int) -> Result:
    """Start, one load after another, stop."""
    scratch = place.scratch / f"{delay}-{time.monotonic_ns()}"
    scratch.mkdir()
    command = daemon(scratch, "sqlite:./pybootd.leases")
    (scratch / "root" / "file.bin").write_bytes(b"".join(i.to_bytes(8, "little") for i in range(FILE // 8)))
    slow = [f"LD_PRELOAD={place.scratch / 'slowsync.so'}", f"SLOWSYNC_US={delay}"]
    process = place.start("pybootd", ["env", "-C", str(scratch), *slow, *command])
    binary = place.scratch / "dhcpload"
    try:
        ready(place, process, binary)
        loads = [load(place, binary, process, NEW * (2 + i), 6000, n, SECONDS) for i, n in enumerate(OUTSTANDING)]
        alone = fetched(fetch(place))
        client = fetch(place)
        paced = load(place, binary, process, NEW * 8, BESIDE * SECONDS, 500, SECONDS, BESIDE)
        return Result(loads, alone, fetched(client), paced.ack[0])
    finally:
        process.stop()


def shown(results: dict[str, list[Result]]) -> str:
    """The table."""
    rows = []
    for name, runs in results.items():
        cells = [name]
        for i in range(len(OUTSTANDING)):
            cells.append(report.text(report.spread([run.loads[i].rate for run in runs]), 0))
            cells.append(" / ".join(f"{median([run.loads[i].ack[part] for run in runs]):.0f}" for part in (0, 1)))
        cells.append(f"{median([run.alone for run in runs]):.1f}")
        cells.append(report.text(report.spread([run.beside for run in runs]), 1))
        cells.append(report.text(report.ratios([run.beside for run in runs], [run.alone for run in runs])))
        cells.append(f"{median([run.waited for run in runs]):.1f}")
        cells.append(str(sum(one.failed for run in runs for one in run.loads)))
        rows.append(cells)
    header = ["disk"]
    for count in OUTSTANDING:
        header += [f"{count} at a time: new/s", "ACK p50/p99 ms"]
    header += ["TFTP MB/s, alone", f"beside {BESIDE} new/s", "ratio", "their ACK ms", "failed"]
    return table(header, rows)


def main() -> None:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="into docs/performance.rst")
    options = parser.parse_args()
    results: dict[str, list[Result]] = {name: [] for name in DISKS}
    print(machine())
    with lab() as place:
        for name in ("dhcpload", "tftpload"):
            run("gcc", "-O2", "-o", str(place.scratch / name), str(HERE / f"{name}.c"))
        run(
            "gcc", "-O2", "-shared", "-fPIC", "-o", str(place.scratch / "slowsync.so"), str(HERE / "slowsync.c"), "-ldl"
        )
        for _ in range(options.rounds):
            for name, delay in DISKS.items():
                results[name].append(measure(place, delay))
    text = f"Medians of {options.rounds} rounds:\n\n{shown(results)}"
    print(f"\n{text}")
    if options.write:
        report.put("slowdisk", f"{report.heading('benchmarks.slowdisk')}\n\n{text}")


if __name__ == "__main__":
    main()
