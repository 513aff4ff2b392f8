"""
Would more processes be worth it?  pybootd without workers, with one, and with two, on a machine with two cores.

    sudo python -m benchmarks.processes [--rounds 3] [--write]

C{workers} of C{[tftpd]} and C{[httpd]}, in one interleaved run.  Server, workers and load have both cores, for there
are no others: what the load needs is missing to the server.  Needs root, gcc and Debian's C{wrk}; without C{wrk} HTTP
is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

from attrs import frozen

from benchmarks import report
from benchmarks.lab import SERVER_ADDRESS, Lab, Process, lab, machine, median, run, table
from benchmarks.tftp import LIMIT, MB, Case, fill

COUNTS = (0, 1, 2)
"""Workers."""

TFTP = (
    Case("processes", "TFTP, 64 clients", 4 * MB, 64, 64),
    Case("processes", "TFTP, 64 clients, windowsize 16", 32 * MB, 64, 64, windowsize=16),
    Case("processes", "TFTP, files of 4 KiB, 16 at once", 4096, 16, 4000),
)
HTTP = "HTTP, 64 x 64 MiB"
BODY = 64 * MB
BOTH = "0,1"
"""The cores."""

SETTLED = 30.0
"""Seconds in which all workers have to be ready."""

_RATE = re.compile(r"Transfer/sec:\s+([\d.]+)(KB|MB|GB)")
_MB = {"KB": 1024 / 1e6, "MB": MB / 1e6, "GB": 1024 * MB / 1e6}


@frozen
class Result:
    """One case, one number of workers, one round."""

    rate: float
    """MB/s."""

    cpu: float
    """Seconds for each GB, the workers' included."""


def serve(place: Lab, workers: int) -> Process:
    """A daemon with so many workers for each protocol, all of them ready."""
    directory = place.scratch / f"daemon-{time.monotonic_ns()}"
    directory.mkdir()
    log = directory / "pybootd.log"
    (directory / "pybootd.ini").write_text(
        f"[logger]\ntype = file\nfile = {log}\n[tftpd]\nroot = {place.scratch / 'root'}\nworkers = {workers}\n"
        f"[httpd]\nport = 8000\ncheck_ip = no\nworkers = {workers}\n"
    )
    command = [sys.executable, "-m", "pybootd", "-t", "-H", "-c", str(directory / "pybootd.ini")]
    process = place.start("pybootd", ["env", "-C", str(directory), "taskset", "-c", BOTH, *command])
    place.listening(process, 8000, protocol="tcp")
    deadline = time.monotonic() + SETTLED
    while log.read_text().count("is ready, process") < 2 * workers:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the workers are not ready: {log.read_text()}")
        time.sleep(0.05)
    return process


def tftp(place: Lab, binary: Path, case: Case) -> tuple[float, float]:
    """One load of TFTP: MB/s, and bytes."""
    words = (case.size, case.clients, case.transfers, case.blksize, case.windowsize)
    command = ["taskset", "-c", BOTH, binary, SERVER_ADDRESS, "69", f"{case.size}.bin", *words]
    load = place.start("load", [str(word) for word in command], where=place.client)
    load.popen.wait(LIMIT)
    seen = json.loads(load.log.read_text().splitlines()[-1])
    if seen["wrong"] or seen["failed"]:
        raise RuntimeError(f"{case.name}: {seen}")
    return seen["bytes"] / seen["seconds"] / 1e6, float(seen["bytes"])


def http(place: Lab, seconds: int = 3) -> tuple[float, float]:
    """One load of HTTP: MB/s, and bytes."""
    url = f"http://{SERVER_ADDRESS}:8000/{BODY}.bin"
    command = ["taskset", "-c", BOTH, "wrk", "-t1", "-c64", f"-d{seconds}s", "--timeout", "30s", url]
    load = place.start("wrk", command, where=place.client)
    load.popen.wait(LIMIT)
    found = _RATE.search(load.log.read_text())
    if found is None:
        raise RuntimeError(load.log.read_text())
    rate = float(found[1]) * _MB[found[2]]
    return rate, rate * seconds * 1e6


def measure(place: Lab, binary: Path, case: Case | None, workers: int) -> Result:
    """One load against a fresh daemon; None: HTTP."""
    server = serve(place, workers)
    before = server.cpu()
    rate, size = http(place) if case is None else tftp(place, binary, case)
    used = server.cpu() - before
    server.stop()
    return Result(rate, used / size * 1e9)


def main() -> None:
    """Run, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="into docs/performance.rst")
    options = parser.parse_args()
    cases: dict[str, Case | None] = {case.name: case for case in TFTP}
    if shutil.which("wrk"):
        cases[HTTP] = None
    results: dict[str, dict[int, list[Result]]] = {name: {count: [] for count in COUNTS} for name in cases}
    with lab() as place:
        place.scratch.chmod(0o755)
        fill(place.scratch / "root", TFTP)
        (place.scratch / "root" / f"{BODY}.bin").write_bytes(os.urandom(MB) * (BODY // MB))
        binary = place.scratch / "tftpload"
        run("gcc", "-O2", "-o", str(binary), str(Path(__file__).with_name("tftpload.c")))
        for _ in range(options.rounds):
            for name, case in cases.items():
                for count in COUNTS:
                    results[name][count].append(measure(place, binary, case, count))
    shown = table(["case", *(f"{count} workers" for count in COUNTS)], [row(name, results[name]) for name in cases])
    print(machine())
    print(shown)
    if options.write:
        report.put("processes", f"{report.heading('benchmarks.processes')}\n\n{shown}")


def row(name: str, by_count: dict[int, list[Result]]) -> list[str]:
    """MB/s without workers, what it is times with them, and CPU seconds for each GB."""
    none = [one.rate for one in by_count[0]]
    cells = [name]
    for count, results in by_count.items():
        rates = [one.rate for one in results]
        speed = report.text(report.ratios(rates, none)) if count else f"{median(rates):.0f} MB/s"
        cells.append(f"{speed}, {median([one.cpu for one in results]):.2f}")
    return cells


if __name__ == "__main__":
    main()
