"""
HTTP side by side: pybootd, nginx (one worker, sendfile), C{twistd web} and C{http.server}, in one interleaved run.

    sudo python -m benchmarks.http [--rounds 3] [--seconds 3] [--only pybootd,nginx] [--write]

Server on one core, wrk on the other.  Needs root and Debian's C{wrk nginx-light}; what is not installed is left out
and said so.  Figures are ratios to nginx in the same round, CPU seconds of the server for each GB, and private memory
for each connection under way.  C{--write} puts a table and a plot into docs/performance.rst.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import frozen

from benchmarks import report
from benchmarks.lab import SERVER_ADDRESS, Lab, Process, lab, machine, median, table

MIB = 1 << 20
FILES = {"large.img": 1024 * MIB, "64m.img": 64 * MIB, "16m.img": 16 * MIB, "4k.cfg": 4096}


@frozen
class Case:
    """One kind of load."""

    name: str
    file: str
    connections: int
    script: str = ""


RANGES = """
request = function()
  local first = math.random(0, 1000) * 1048576
  return wrk.format("GET", nil, {["Range"] = "bytes=" .. first .. "-" .. (first + 1048575)})
end
"""
MANY = 64
"""Connections, from which on memory is told: with few it is what the server kept of earlier loads."""

CLOSE = 'wrk.headers["Connection"] = "close"'

CASES = (
    Case("1 connection, 1 GiB", "large.img", 1),
    Case("64 x 64 MiB", "64m.img", 64),
    Case("256 x 16 MiB", "16m.img", 256),
    Case("1 MiB ranges, 16 connections", "large.img", 16, RANGES),
    Case("4 KiB, 64 keep-alive", "4k.cfg", 64),
    Case("4 KiB, 1 keep-alive", "4k.cfg", 1),
    Case("4 KiB, 16, a connection each", "4k.cfg", 16, CLOSE),
)


@frozen
class Server:
    """One competitor."""

    name: str
    program: str
    port: int
    prepare: Callable[[Path, Path], Sequence[str]]


def pybootd(scratch: Path, root: Path) -> Sequence[str]:
    """pybootd's HTTP with filters, events and the log at info; check_ip off, for the load has no lease."""
    (scratch / "http.ini").write_text(
        f"[logger]\ntype = file\nfile = {scratch}/http.log\n[tftpd]\nport = 6969\nroot = {root}\n"
        f"[httpd]\nport = 8000\nroot = {root}\ncheck_ip = no\n[filters]\nnone/* = other/{{filename}}\n"
    )
    return [sys.executable, "-m", "pybootd", "-t", "-H", "-c", str(scratch / "http.ini")]


def nginx(scratch: Path, root: Path) -> Sequence[str]:
    """nginx as an administrator would set it up for boot files."""
    (scratch / "nginx.conf").write_text(
        f"user root; daemon off; worker_processes 1; pid {scratch}/nginx.pid; error_log {scratch}/nginx.err;\n"
        "events { worker_connections 2048; }\n"
        "http { sendfile on; tcp_nopush on; access_log off; keepalive_requests 1000000;\n"
        f" server {{ listen 8001; root {root}; }} }}\n"
    )
    return ["nginx", "-c", str(scratch / "nginx.conf"), "-p", str(scratch)]


def twistd(scratch: Path, root: Path) -> Sequence[str]:
    """Twisted's own static files."""
    return [
        *(sys.executable, "-m", "twisted", "web"),
        *("--path", str(root), "--listen", "tcp:8002"),
    ]


def stdlib(scratch: Path, root: Path) -> Sequence[str]:
    """The standard library's."""
    return [sys.executable, "-m", "http.server", "8003", "--directory", str(root), "--protocol", "HTTP/1.1"]


SERVERS = (
    Server("pybootd", sys.executable, 8000, pybootd),
    Server("nginx", "nginx", 8001, nginx),
    Server("twistd web", sys.executable, 8002, twistd),
    Server("http.server", sys.executable, 8003, stdlib),
)


@frozen
class Result:
    """One server, one case, one round."""

    requests: float
    """For each second."""
    speed: float
    """MB/s."""
    cpu: float
    """CPU seconds of the server for each GB."""
    errors: int
    memory: float
    """KB of private memory for each connection, above the idle server."""


def measure(place: Lab, process: Process, server: Server, case: Case, seconds: int, idle: float) -> Result:
    """One load; C{idle}: MB of the server before the first of them."""
    command = ["wrk", "-t1", f"-c{case.connections}", f"-d{seconds}s", "--timeout", "30s"]
    if case.script:
        script = place.scratch / f"{abs(hash(case.script))}.lua"
        script.write_text(case.script)
        command += ["-s", str(script)]
    before = process.cpu()
    load = place.start(
        "wrk", [*command, f"http://{SERVER_ADDRESS}:{server.port}/{case.file}"], where=place.client, core=1
    )
    time.sleep(seconds / 2)
    busy = process.memory()
    load.popen.wait(120)
    spent = process.cpu() - before
    printed = load.log.read_text()
    requests = float(found(r"Requests/sec:\s+([\d.]+)", printed))
    amount, unit = re.search(r"([\d.]+)(\w+) read", printed).groups()  # type: ignore[union-attr]
    megabytes = float(amount) * {"B": 1e-6, "KB": 1.024e-3, "MB": 1.048576, "GB": 1073.741824}[unit]
    duration = float(found(r"requests in\s+([\d.]+)s", printed))
    errors = sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", printed)))
    errors += int(found(r"Non-2xx or 3xx responses: (\d+)", printed) or 0)
    return Result(
        requests,
        megabytes / duration,
        spent / max(megabytes / 1000, 1e-9),
        errors,
        max(0, busy - idle) * 1024 / case.connections,
    )


def found(pattern: str, text: str) -> str:
    """The first group of the pattern, or 0."""
    match = re.search(pattern, text)
    return match.group(1) if match else "0"


def main() -> None:
    """Run, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--cases", default="", help="a part of the cases' names")
    parser.add_argument("--write", action="store_true", help="into docs/performance.rst")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not installed: apt-get install wrk")
    chosen = [s for s in SERVERS if (not options.only or s.name in options.only.split(",")) and shutil.which(s.program)]
    print(machine())
    with lab() as place:
        root = place.scratch / "root"
        root.mkdir()
        for name, size in FILES.items():
            with (root / name).open("wb") as file:
                file.truncate(size)
            with (root / name).open("rb") as file:
                while file.read(MIB):
                    pass  # in memory for all of them
        started = {}
        for server in chosen:
            started[server.name] = place.start(server.name.replace(" ", "-"), server.prepare(place.scratch, root))
            place.listening(started[server.name], server.port, protocol="tcp")
        idle = {name: process.memory() for name, process in started.items()}
        results: dict[tuple[str, str], list[Result]] = {}
        for _ in range(options.rounds):
            for case in CASES:
                for server in chosen:
                    if options.cases in case.name:
                        one = measure(place, started[server.name], server, case, options.seconds, idle[server.name])
                        results.setdefault((case.name, server.name), []).append(one)
        names = [server.name for server in chosen]
        notes = "Private memory when idle, MB: " + ", ".join(f"{name} {idle[name]:.0f}" for name in names) + "."
    print(f"{tables(names, results)}\n\n{notes}")
    if options.write:
        title = plot(names, results)
        report.put("http", f"{report.heading('benchmarks.http')}\n\n{tables(names, results)}\n\n{notes}", title)


def compared(case: Case, name: str, results: dict[tuple[str, str], list[Result]]) -> report.Spread | None:
    """A server's throughput, to nginx's in the same round."""
    return report.ratios(*([one.speed for one in results.get((case.name, who), [])] for who in (name, "nginx")))


def tables(names: Sequence[str], results: dict[tuple[str, str], list[Result]]) -> str:
    """A row for each case, a column for each server: ratio to nginx, CPU s/GB, memory, failed requests."""
    rows = []
    for case in CASES:
        if (case.name, names[0]) not in results:
            continue
        cells = [case.name]
        for name in names:
            runs = results[case.name, name]
            failed = sum(one.errors for one in runs)
            cells.append(
                f"{report.text(compared(case, name, results))}, {median([one.cpu for one in runs]):.2f}"
                + (f", {median([one.memory for one in runs]):.0f} KB" if case.connections >= MANY else "")
                + (f", {failed} failed" if failed else "")
            )
        runs = results.get((case.name, "nginx"), [])
        cells.append(f"{median([one.speed for one in runs]):.0f} MB/s, {median([one.requests for one in runs]):.0f}/s")
        rows.append(cells)
    return table(["case", *names, "nginx absolute"], rows)


def plot(names: Sequence[str], results: dict[tuple[str, str], list[Result]]) -> str:
    """Throughput, to nginx."""
    cases = [case for case in CASES if (case.name, names[0]) in results]
    series = {name: [compared(case, name, results) for case in cases] for name in names}
    return report.bars("http", "throughput, to nginx", [case.name for case in cases], series)


if __name__ == "__main__":
    main()
