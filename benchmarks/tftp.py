"""
TFTP side by side: pybootd, dnsmasq, tftpd-hpa and atftpd, in one interleaved run.

    sudo python -m benchmarks.tftp [--rounds 3] [--cases lockstep,windows,storms,small,loss] [--only pybootd,dnsmasq]
                                   [--offload] [--json FILE]

Each server is on one core, a load in C on the other, with a cable of MTU 1500 between them.  Throughput is
given as a ratio to the best of the others in the same round, and processor time for each GB.  Every block's number,
place and file's size are checked.  Needs root, gcc, and the peers (Debian: C{dnsmasq-base tftpd-hpa atftpd}); a peer
that is not installed is left out and said so.  dnsmasq knows windows from version 2.92 on only, tftpd-hpa not at
all: they run those cases without.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import frozen

from benchmarks.lab import SERVER_ADDRESS, Lab, Process, lab, machine, median, run, table

LIMIT = 40
"""Seconds for one measurement; who needs longer has not finished."""


@frozen
class Case:
    """One load."""

    group: str
    name: str
    size: int
    """Bytes of the file."""
    clients: int
    transfers: int
    blksize: int = 1468
    windowsize: int = 1
    loss: float = 0.0
    """Of the datagrams, in each direction."""
    delay: int = 0
    """Microseconds of a round trip."""


MB = 1 << 20
CASES = (
    Case("lockstep", "lockstep 512", 8 * MB, 1, 1, blksize=512),
    Case("lockstep", "lockstep 1432", 24 * MB, 1, 1, blksize=1432),
    Case("lockstep", "lockstep 1468", 24 * MB, 1, 1),
    Case("lockstep", "lockstep 1468, 0.5 ms", 2 * MB, 1, 1, delay=500),
    Case("windows", "windowsize 4", 64 * MB, 1, 2, windowsize=4),
    Case("windows", "windowsize 16", 64 * MB, 1, 3, windowsize=16),
    Case("windows", "windowsize 64", 64 * MB, 1, 4, windowsize=64),
    Case("storms", "64 clients", 4 * MB, 64, 64),
    Case("storms", "256 clients", MB, 256, 256),
    Case("storms", "64 clients, windowsize 16", 8 * MB, 64, 64, windowsize=16),
    Case("storms", "256 clients, windowsize 16", 2 * MB, 256, 256, windowsize=16),
    Case("small", "files of 4 KiB", 4096, 1, 3000),
    Case("small", "files of 4 KiB, 16 at once", 4096, 16, 10000),
    Case("loss", "1 % loss", 256 << 10, 1, 1, loss=0.01),
    Case("loss", "1 % loss, windowsize 16", 8 * MB, 1, 1, windowsize=16, loss=0.01),
    Case("loss", "1 % loss, 64 clients", 256 << 10, 64, 64, loss=0.01),
)


def pybootd(scratch: Path, root: Path) -> list[str]:
    """pybootd, log at info, events on."""
    (scratch / "pybootd.ini").write_text(f"[logger]\ntype = file\nfile = ./pybootd.log\n[tftpd]\nroot = {root}\n")
    return [sys.executable, "-m", "pybootd", "-t", "-c", str(scratch / "pybootd.ini")]


def dnsmasq(scratch: Path, root: Path) -> list[str]:
    """dnsmasq, without its ceiling of 50 transfers."""
    return [
        *("dnsmasq", "-k", "-C", "/dev/null", "--port=0", "--user=root", "--enable-tftp", "--tftp-max=1000"),
        *(f"--tftp-root={root}", f"--pid-file={scratch / 'dnsmasq.pid'}"),
    ]


def hpa(scratch: Path, root: Path) -> list[str]:
    """H. Peter Anvin's server: a process for each transfer."""
    return ["in.tftpd", "-L", "-s", "-u", "root", str(root)]


def atftpd(scratch: Path, root: Path) -> list[str]:
    """The advanced one: a thread for each transfer."""
    return [
        *("atftpd", "--daemon", "--no-fork", "--user", "root", "--group", "root", "--maxthread", "1000"),
        *("--verbose=1", "--logfile", str(scratch / "atftpd.log"), str(root)),
    ]


SERVERS: dict[str, Callable[[Path, Path], list[str]]] = {
    "pybootd": pybootd,
    "dnsmasq": dnsmasq,
    "tftpd-hpa": hpa,
    "atftpd": atftpd,
}


@frozen
class Result:
    """One server, one case, one round."""

    rate: float
    """MB of files a second."""

    files: float
    """Files a second."""

    cpu: float
    """Seconds for each GB, the server's."""

    slowest: float
    """Seconds of the slowest transfer."""

    failed: int


def measure(place: Lab, binary: Path, process: Process, case: Case) -> Result | None:
    """One load against a running server; None where it has not finished in time."""
    words = (f"{case.size}.bin", case.size, case.clients, case.transfers, case.blksize, case.windowsize)
    before = process.cpu()
    try:
        done = place.inside(
            *(str(binary), SERVER_ADDRESS, "69"), *map(str, (*words, case.loss, case.delay)), timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return None
    seen = json.loads(done.stdout)
    if seen["wrong"]:
        raise RuntimeError(f"{process.name}: {case.name}: {seen['wrong']} blocks were wrong")
    if not seen["bytes"]:
        return None
    return Result(
        rate=seen["bytes"] / seen["seconds"] / 1e6,
        files=seen["finished"] / seen["seconds"],
        cpu=(process.cpu() - before) / seen["bytes"] * 1e9,
        slowest=seen["slowest"],
        failed=seen["failed"],
    )


def end(place: Lab, process: Process) -> None:
    """Stop a server and whatever it left behind: a child that still has the port would disturb the next one."""
    process.stop()
    for pid in run("ip", "netns", "pids", place.server, check=False).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    deadline = time.monotonic() + 5
    while ":0045 " in run("ip", "netns", "exec", place.server, "cat", "/proc/net/udp") and time.monotonic() < deadline:
        time.sleep(0.01)


def fill(root: Path, cases: Sequence[Case]) -> None:
    """The files: each 8-byte word is its own index."""
    root.mkdir()
    root.chmod(0o755)
    for size in {case.size for case in cases}:
        (root / f"{size}.bin").write_bytes(array.array("Q", range(size // 8)).tobytes())
    for path in root.iterdir():
        path.chmod(0o644)


def main() -> None:
    """Run, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", default="lockstep,windows,storms,small,loss")
    parser.add_argument("--only", default="")
    parser.add_argument("--offload", action="store_true", help="the cable takes whole runs, as some adapters do")
    parser.add_argument("--json", type=Path, help="write every result there")
    options = parser.parse_args()
    cases = [case for case in CASES if case.group in options.cases.split(",")]
    with lab() as place:
        scratch = place.scratch
        scratch.chmod(0o755)
        fill(scratch / "root", cases)
        binary = scratch / "tftpload"
        run("gcc", "-O2", "-o", str(binary), str(Path(__file__).with_name("tftpload.c")))
        for namespace in (place.server, place.client):
            state = "on" if options.offload else "off"
            run("ip", "netns", "exec", namespace, "ethtool", "-K", "eth0", "tx-udp-segmentation", state, check=False)
        commands = {}
        for name, prepare in SERVERS.items():
            command = prepare(scratch, scratch / "root")
            if options.only and name not in options.only.split(","):
                continue
            if shutil.which(command[0]):
                commands[name] = command
            else:
                print(f"{name} is not installed: left out", file=sys.stderr)
        results: dict[str, dict[str, list[Result | None]]] = {
            case.name: {name: [] for name in commands} for case in cases
        }
        for _ in range(options.rounds):
            for case in cases:
                for name, command in commands.items():
                    if None in results[case.name][name]:
                        continue  # it had its chance
                    process = place.start(name, command)
                    place.listening(process, 69)
                    try:
                        results[case.name][name].append(measure(place, binary, process, case))
                    finally:
                        end(place, process)
    print(machine(), "- UDP segmentation by the cable" if options.offload else "")
    print(report(cases, results))
    if options.json:
        options.json.write_text(json.dumps(plain(results), indent=1) + "\n")


def report(cases: Sequence[Case], results: dict[str, dict[str, list[Result | None]]]) -> str:
    """For each case: what pybootd does, and each server's ratio of throughput and CPU seconds for each GB."""
    names = list(next(iter(results.values())))
    rows = []
    for case in cases:
        by_name = {name: [one for one in runs if one] for name, runs in results[case.name].items()}
        rates = {name: median([one.rate for one in runs]) for name, runs in by_name.items()}
        best = max((rate for name, rate in rates.items() if name != "pybootd" and rate == rate), default=float("nan"))
        cells = []
        for name in names:
            runs = by_name[name]
            if not runs:
                cells.append(f"not in {LIMIT} s")
                continue
            failed = sum(one.failed for one in runs)
            cells.append(
                f"{rates[name] / best:.2f} ({median([one.cpu for one in runs]):.1f})"
                + (f", {failed} failed" if failed else "")
            )
        ours = rates.get("pybootd", float("nan"))
        rows.append([case.name, f"{ours:.1f}", *cells])
    return table(["case", "pybootd MB/s", *(f"{name}: to the best peer (CPU s/GB)" for name in names)], rows)


def plain(results: dict[str, dict[str, list[Result | None]]]) -> dict[str, object]:
    """The results as JSON has it."""
    return {
        case: {
            name: [
                one
                and {"rate": one.rate, "files": one.files, "cpu": one.cpu, "slowest": one.slowest, "failed": one.failed}
                for one in runs
            ]
            for name, runs in by_name.items()
        }
        for case, by_name in results.items()
    }


if __name__ == "__main__":
    main()
