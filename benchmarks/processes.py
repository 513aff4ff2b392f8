"""
Would more processes be worth it?  One pybootd, against two that share its clients, on a machine with two cores.

    sudo python -m benchmarks.processes [--rounds 3] [--write]

The two are daemons of their own on two ports, each with half of the clients: what worker processes behind one port
could reach at best.  Servers and loads have both cores, for there are no others.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks import report
from benchmarks.lab import SERVER_ADDRESS, Lab, Process, lab, machine, median, run, table
from benchmarks.tftp import LIMIT, MB, Case, fill, pybootd

CASES = (
    Case("processes", "64 clients", 2 * MB, 64, 64),
    Case("processes", "64 clients, windowsize 16", 8 * MB, 64, 64, windowsize=16),
    Case("processes", "files of 4 KiB, 16 at once", 4096, 16, 4000),
)
PORTS = (69, 1069)
BOTH = "0,1"
"""The cores."""


def serve(place: Lab, port: int) -> Process:
    """A daemon on one port."""
    directory = place.scratch / f"daemon-{port}"
    directory.mkdir(exist_ok=True)
    command = pybootd(directory, place.scratch / "root")
    with (directory / "pybootd.ini").open("a") as configuration:
        configuration.write(f"port = {port}\n")
    process = place.start("pybootd", ["env", "-C", str(directory), "taskset", "-c", BOTH, *command])
    place.listening(process, port)
    return process


def measure(place: Lab, binary: Path, case: Case, count: int) -> float:
    """MB in a second, of so many daemons together."""
    servers = [serve(place, port) for port in PORTS[:count]]
    loads = []
    for port in PORTS[:count]:
        words = (case.size, case.clients // count, case.transfers // count, case.blksize, case.windowsize)
        command = ["taskset", "-c", BOTH, binary, SERVER_ADDRESS, port, f"{case.size}.bin", *words]
        loads.append(place.start("load", [str(word) for word in command], where=place.client))
    for load in loads:
        load.popen.wait(LIMIT)
    seen = [json.loads(load.log.read_text().splitlines()[-1]) for load in loads]
    for server in servers:
        server.stop()
    return float(sum(one["bytes"] for one in seen) / max(one["seconds"] for one in seen) / 1e6)


def main() -> None:
    """Run, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="into docs/performance.rst")
    options = parser.parse_args()
    results: dict[str, tuple[list[float], list[float]]] = {case.name: ([], []) for case in CASES}
    with lab() as place:
        place.scratch.chmod(0o755)
        fill(place.scratch / "root", CASES)
        binary = place.scratch / "tftpload"
        run("gcc", "-O2", "-o", str(binary), str(Path(__file__).with_name("tftpload.c")))
        for _ in range(options.rounds):
            for case in CASES:
                for count in (1, 2):
                    results[case.name][count - 1].append(measure(place, binary, case, count))
    rows = [
        [name, f"{median(one):.0f}", f"{median(two):.0f}", report.text(report.ratios(two, one))]
        for name, (one, two) in results.items()
    ]
    shown = table(["case", "one, MB/s", "two, MB/s", "two to one"], rows)
    print(machine())
    print(shown)
    if options.write:
        report.put("processes", f"{report.heading('benchmarks.processes')}\n\n{shown}")


if __name__ == "__main__":
    main()
