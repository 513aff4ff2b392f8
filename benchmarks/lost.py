"""
What is left of the leases after C{kill -9}: pybootd, Kea (memfile), dnsmasq and ISC dhcpd, in one interleaved run.

    sudo python -m benchmarks.lost [--rounds 3] [--leases 1000] [--only pybootd,kea] [--write]

Each server starts with so many leases on record and is killed in the middle of a load of machines that it has never
seen; then it is started again on the files that it left.  Strangers ask first: whoever of them is given the address of
an ACK from before shares it with its owner.  Then the machines that had an ACK ask again: one with another address
has lost its lease.  Needs what C{benchmarks.dhcp} needs.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import time
from pathlib import Path

from attrs import frozen

from benchmarks import report
from benchmarks.dhcp import NEW, SERVERS, Server, ready
from benchmarks.lab import Lab, lab, machine, table

UNTIL = 1.5
"""Seconds of load before the kill."""

MACHINES = 20_000
"""That would ask, if the server lived on."""

SECONDS = 20
"""For what comes after; dnsmasq and dhcpd need them."""


@frozen
class Loss:
    """One server after one kill."""

    acked: int
    """Machines that had an ACK before the kill."""

    asked: int
    """Those of them that were answered again afterwards, in the time they had."""

    moved: int
    """Those of them with another address."""

    strangers: int
    twice: int
    """Strangers with an address that belonged to one of these machines."""


def begun(place: Lab, binary: Path, first: int, count: int, seconds: float, file: Path) -> subprocess.Popen[bytes]:
    """A load that runs; C{file} gets the addresses of its machines when it ends."""
    words = ("eth0", str(first), str(count), "32", str(seconds), "0", str(file))
    return subprocess.Popen(
        ["ip", "netns", "exec", place.client, "taskset", "-c", "1", str(binary), *words], stdout=subprocess.DEVNULL
    )


def ended(load: subprocess.Popen[bytes], file: Path) -> dict[int, str]:
    """The addresses of the machines of a load, by their numbers."""
    if load.wait(60):
        raise RuntimeError(f"the load ended with status {load.returncode}")
    pairs = (line.split() for line in file.read_text().splitlines())
    return {int(number): address for number, address in pairs}


def measure(place: Lab, binary: Path, server: Server, leases: int) -> Loss:
    """Start, load, kill, start, ask."""
    scratch = place.scratch / f"{server.name}-{leases}-{time.monotonic_ns()}"
    scratch.mkdir()
    command = ["env", "-C", str(scratch), *server.prepare(scratch, leases)]
    process = place.start(server.name, command)
    ready(place, process, binary)
    load = begun(place, binary, NEW, MACHINES, 60, scratch / "before")
    time.sleep(UNTIL)
    process.stop(signal.SIGKILL)
    process.forget()  # what it started, too
    time.sleep(0.2)  # the last answers arrive
    load.send_signal(signal.SIGTERM)
    before = ended(load, scratch / "before")
    process = place.start(server.name, command)
    try:
        ready(place, process, binary)
        fresh = begun(place, binary, 2 * NEW, len(before), SECONDS, scratch / "fresh")
        strangers = ended(fresh, scratch / "fresh")
        after = ended(begun(place, binary, NEW, max(before) + 1, SECONDS, scratch / "after"), scratch / "after")
    finally:
        process.stop()
    owned = set(before.values())
    asked = before.keys() & after.keys()
    return Loss(
        len(before),
        len(asked),
        sum(before[number] != after[number] for number in asked),
        len(strangers),
        sum(address in owned for address in strangers.values()),
    )


def main() -> None:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--leases", type=int, default=1000)
    parser.add_argument("--only", default="")
    parser.add_argument("--write", action="store_true", help="into docs/performance.rst")
    options = parser.parse_args()
    chosen = [s for s in SERVERS if (not options.only or s.name in options.only.split(",")) and shutil.which(s.program)]
    print(machine())
    losses: dict[str, list[Loss]] = {server.name: [] for server in chosen}
    with lab() as place:
        binary = place.scratch / "dhcpload"
        subprocess.run(["gcc", "-O2", "-o", str(binary), str(Path(__file__).with_name("dhcpload.c"))], check=True)
        for _ in range(options.rounds):
            for server in chosen:
                losses[server.name].append(measure(place, binary, server, options.leases))
    shown = f"{options.leases} leases on record, all of {options.rounds} kills together:\n\n{tabled(losses)}"
    print(f"\n{shown}")
    if options.write:
        report.put("lost", f"{report.heading('benchmarks.lost')}\n\n{shown}")


def tabled(losses: dict[str, list[Loss]]) -> str:
    """A row for each server."""
    names = ("acked", "asked", "moved", "strangers", "twice")
    rows = [
        [server, *(str(sum(getattr(one, name) for one in several)) for name in names)]
        for server, several in losses.items()
    ]
    return table(["server", "ACKed before", "asked again", "with another address", "strangers", "given twice"], rows)


if __name__ == "__main__":
    main()
