"""
What leases cost: pybootd with few and with many on record, in one interleaved run.

    sudo python -m benchmarks.leases [--rounds 3] [--leases 100,10000,60000] [--exchanges 2000] [--write]

For each number of leases the daemon starts with so many on record, on one core; a load on the other core drives
machines through DISCOVER, OFFER, REQUEST, ACK, 32 at a time: first machines the daemon has never seen, then the same
ones again.
Every ACK waits until its lease is on the disk.  Needs root and gcc.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen
from twisted.internet.defer import maybeDeferred

from benchmarks import report
from benchmarks.dhcp import NEW, SECONDS, SIZE, Load, load, pybootd, ready
from benchmarks.lab import Lab, lab, machine, median, table
from pybootd.leases.sqlite import SqliteStore
from pybootd.leases.table import LeaseTable


@frozen
class Result:
    """One start with so many leases on record."""

    opened: float
    """Seconds to read them all, and to index them."""

    start: float
    """Seconds from the start of the process until the first machine has its ACK."""

    memory: float
    """Private MB, before the load."""

    file: float
    """MB on the disk."""

    loads: Sequence[Load]
    """Of unknown machines, and of the same ones when they are known."""


def opening(file: Path) -> float:
    """Seconds to open a store in this process."""
    begin = time.monotonic()
    store = SqliteStore(file, maybeDeferred)
    store.open().addCallback(LeaseTable)
    taken = time.monotonic() - begin
    store.close()
    return taken


def measure(place: Lab, binary: Path, leases: int, exchanges: int) -> Result:
    """Start with so many leases, load, stop."""
    scratch = place.scratch / f"{leases}-{time.monotonic_ns()}"
    scratch.mkdir()
    command = pybootd(scratch, leases)
    file = scratch / "pybootd.leases"
    opened, size = opening(file), file.stat().st_size / 1e6
    process = place.start("pybootd", ["env", "-C", str(scratch), *command])
    try:
        start = ready(place, process, binary)
        memory = process.memory()
        loads = [load(place, binary, process, NEW, exchanges, 32, SECONDS) for _ in range(2)]
        return Result(opened, start, memory, size, loads)
    finally:
        process.stop()


def shown(results: Mapping[int, Sequence[Result]]) -> str:
    """The table, and what one lease costs."""
    rows = [
        [
            str(leases),
            f"{median([run.opened for run in runs]):.2f}",
            f"{median([run.start for run in runs]):.2f}",
            f"{median([run.memory for run in runs]):.1f}",
            f"{median([run.file for run in runs]):.1f}",
            *(f"{median([run.loads[known].cpu for run in runs]):.0f}" for known in (0, 1)),
            " / ".join(f"{median([run.loads[known].ack[0] for run in runs]):.1f}" for known in (0, 1)),
            f"{sum(one.failed for run in runs for one in run.loads)}",
        ]
        for leases, runs in results.items()
    ]
    header = ["leases", "read s", "start s", "MB", "file MB", "CPU µs, new", "known", "ACK ms", "failed"]
    few, many = min(results), max(results)
    more = median([run.memory for run in results[many]]) - median([run.memory for run in results[few]])
    return f"{table(header, rows)}\n\nMemory per lease: {more * 1048576 / max(many - few, 1):.0f} bytes."


def main() -> None:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--leases", default="100,10000,60000")
    parser.add_argument("--exchanges", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="into docs/performance.rst")
    options = parser.parse_args()
    numbers = [int(number) for number in options.leases.split(",")]
    if max(numbers) + options.exchanges > SIZE:
        sys.exit(f"leases and exchanges are {SIZE} together at most: the pool has no more addresses")
    print(machine())
    with lab() as place:
        binary = place.scratch / "dhcpload"
        subprocess.run(["gcc", "-O2", "-o", str(binary), str(Path(__file__).with_name("dhcpload.c"))], check=True)
        results: dict[int, list[Result]] = {number: [] for number in numbers}
        for _ in range(options.rounds):
            for number, runs in results.items():
                runs.append(measure(place, binary, number, options.exchanges))
        text = f"Medians of {options.rounds} rounds, {options.exchanges} exchanges each:\n\n{shown(results)}"
        print(f"\n{text}")
        if options.write:
            report.put("leases", f"{report.heading('benchmarks.leases')}\n\n{text}")


if __name__ == "__main__":
    main()
