"""
TFTP side by side: pybootd, dnsmasq, tftpd-hpa, atftpd, and py3tftp and tftpy in Python, in one interleaved run.

    sudo python -m benchmarks.tftp [--rounds 3] [--cases lockstep,windows,storms,small,loss,memory,gigabit,refused]
                                   [--only pybootd,dnsmasq] [--offload] [--json FILE] [--write]

Each server is on one core, a load in C on the other, with a cable of MTU 1500 between them.  Throughput is
given as a ratio to the best of the others in the same round, and processor time for each GB.  Every block's number,
place and file's size are checked.  Needs root, gcc, and the peers (Debian: C{dnsmasq-base tftpd-hpa atftpd}); a peer
that is not installed is left out and said so.  dnsmasq knows windows from version 2.92 on only, tftpd-hpa and tftpy not
at all: they run those cases without.  tftpd-hpa and atftpd cannot both be installed on Debian, but the package of one
can be unpacked (C{apt-get download atftpd; dpkg-deb -x atftpd_*.deb peers}) and put on the C{PATH}.  With C{--offload}
the cable carries runs of packets whole, as adapters do that cut them by themselves.  C{--write} puts the table of each
group of cases and a plot of it into docs/performance.rst.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import errno
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from attrs import frozen

from benchmarks import report
from benchmarks.lab import SERVER_ADDRESS, Lab, Process, lab, machine, median, run, table

LIMIT = 10
"""Seconds for one measurement; who needs longer is judged by what has arrived until then."""

SEED = 1
"""Of the losses: the same for everybody."""


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
    reorder: float = 0.0
    """Of the datagrams, that arrive behind the next one."""
    buffer: int = 0
    """Packets that the switch port before the client holds; 0: as many as come."""
    link: int = 0
    """Mbit/s of the cable; 0: as fast as the machine is."""
    refused: int = 0
    """The error that a server gets who has the kernel cut a run; 0: it does."""

    @property
    def carried(self) -> float:
        """MB of files a second that the cable carries: of each packet with its headers, the bytes of a block."""
        return self.link / 8 * self.blksize / (self.blksize + 4 + 8 + 20 + 14)


MB = 1 << 20
CASES = (
    Case("lockstep", "lockstep 512", 8 * MB, 1, 1, blksize=512),
    Case("lockstep", "lockstep 1432", 24 * MB, 1, 1, blksize=1432),
    Case("lockstep", "lockstep 1468", 24 * MB, 1, 1),
    Case("lockstep", "lockstep 1468, 0.5 ms", 2 * MB, 1, 1, delay=500),
    Case("windows", "windowsize 4", 32 * MB, 1, 1, windowsize=4),
    Case("windows", "windowsize 16", 48 * MB, 1, 1, windowsize=16),
    Case("windows", "windowsize 64", 64 * MB, 1, 1, windowsize=64),
    Case("storms", "64 clients", 4 * MB, 64, 64),
    Case("storms", "256 clients", MB, 256, 256),
    Case("storms", "64 clients, windowsize 16", 8 * MB, 64, 64, windowsize=16),
    Case("storms", "256 clients, windowsize 16", 2 * MB, 256, 256, windowsize=16),
    Case("small", "files of 4 KiB", 4096, 1, 3000),
    Case("small", "files of 4 KiB, 16 at once", 4096, 16, 10000),
    Case("loss", "1 % loss", 256 << 10, 1, 1, loss=0.01),
    Case("loss", "1 % loss, windowsize 16", 8 * MB, 1, 1, windowsize=16, loss=0.01),
    Case("loss", "1 % loss, 64 clients", 2 * MB, 64, 64, loss=0.01),
    Case("loss", "reordered, windowsize 16", 4 * MB, 1, 1, windowsize=16, reorder=0.05),
    Case("loss", "port of 24, windowsize 64", 8 * MB, 1, 1, windowsize=64, buffer=24),
    Case("memory", "256 clients, 20 ms", 256 << 10, 256, 256, delay=20000),
    Case("gigabit", "lockstep 1468, gigabit", 24 * MB, 1, 1, link=1000),
    Case("gigabit", "windowsize 16, gigabit", 128 * MB, 1, 1, windowsize=16, link=1000),
    Case("gigabit", "windowsize 64, gigabit", 128 * MB, 1, 1, windowsize=64, link=1000),
    Case("gigabit", "64 clients, gigabit", 4 * MB, 64, 64, link=1000),
    Case("gigabit", "64 clients, windowsize 16, gigabit", 4 * MB, 64, 64, windowsize=16, link=1000),
    Case("refused", "windowsize 4, EIO", 32 * MB, 1, 1, windowsize=4, refused=errno.EIO),
    Case("refused", "windowsize 16, EINVAL", 48 * MB, 1, 1, windowsize=16, refused=errno.EINVAL),
    Case("refused", "windowsize 64, EMSGSIZE", 64 * MB, 1, 1, windowsize=64, refused=errno.EMSGSIZE),
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


def py3tftp(scratch: Path, root: Path) -> list[str]:
    """Python's asyncio; it serves its working directory."""
    return ["env", "-C", str(root), str(Path(sys.executable).with_name("py3tftp")), "-p", "69"]


def tftpy(scratch: Path, root: Path) -> list[str]:
    """Python's select, in a loop of its own."""
    program = "import sys, tftpy; tftpy.TftpServer(sys.argv[1]).listen('0.0.0.0', 69)"
    return [sys.executable, "-c", program, str(root)]


SERVERS: dict[str, Callable[[Path, Path], list[str]]] = {
    "pybootd": pybootd,
    "dnsmasq": dnsmasq,
    "tftpd-hpa": hpa,
    "atftpd": atftpd,
    "py3tftp": py3tftp,
    "tftpy": tftpy,
}
TITLES = {
    "lockstep": ("Clients without windows", "Most firmware, and GRUB."),
    "windows": (
        "Clients with windows",
        "UEFI firmware asks for ``windowsize`` 4; Windows, U-Boot and u-root for more.",
    ),
    "storms": ("A hall of machines at once", "All clients begin in the same instant; all of them finish."),
    "small": ("Small files", "A request, a block, an ACK."),
    "loss": (
        "Loss and reordering",
        "The load drops a part of the datagrams, in both directions, or delivers one behind the next; or a switch port "
        "before the client holds that many packets, and drops what comes on top.",
    ),
    "memory": ("Memory", "The third figure of a cell is private memory for each transfer under way."),
    "gigabit": (
        "A gigabit",
        "The cable passes on one gigabit a second, and throughput is given as a part of what it carries.  The third "
        "figure of a cell is how much of a core the server needs for it.",
    ),
    "refused": (
        "Without segmentation",
        "The kernel refuses to cut runs into packets, as older ones do, and some adapters: blocks leave one by one.",
    ),
}
"""Of each group of cases: its heading in docs/performance.rst, and a word about it."""

PYTHON = ("py3tftp", "tftpy")


def installed(name: str, command: Sequence[str]) -> bool:
    """Whether this server can be started."""
    return importlib.util.find_spec(name) is not None if name in PYTHON else shutil.which(command[0]) is not None


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

    whole: bool
    """All transfers came to their ends in time."""

    memory: float
    """KB of private memory for each transfer that is under way."""


def measure(place: Lab, binary: Path, process: Process, case: Case) -> Result | None:
    """One load against a running server; None where nothing arrived."""
    words = (f"{case.size}.bin", case.size, case.clients, case.transfers, case.blksize, case.windowsize)
    way = (case.loss, case.delay, case.reorder, case.buffer)
    before, idle, busy = process.cpu(), process.memory(), 0.0
    program = place.start(
        "load",
        [binary, SERVER_ADDRESS, "69", *map(str, (*words, *way, SEED, LIMIT))],
        where=place.client,
        core=1,
    )
    try:
        if case.group == "memory":
            time.sleep(1)
            busy = process.memory()
        program.popen.wait(2 * LIMIT)
    except subprocess.TimeoutExpired:
        return None
    finally:
        program.stop()
    seen = json.loads(program.log.read_text().splitlines()[-1])
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
        whole=seen["finished"] + seen["failed"] == case.transfers,
        memory=max(0.0, busy - idle) * 1024 / case.clients,
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


@contextlib.contextmanager
def cable(place: Lab, case: Case) -> Iterator[None]:
    """The cable of this case: slower than the machine, or not."""
    for namespace in (place.server, place.client) if case.link else ():
        rate = ("rate", f"{case.link}mbit", "burst", "64kb", "latency", "20ms")
        run("tc", "-n", namespace, "qdisc", "add", "dev", "eth0", "root", "tbf", *rate)
    try:
        yield
    finally:
        for namespace in (place.server, place.client) if case.link else ():
            run("tc", "-n", namespace, "qdisc", "del", "dev", "eth0", "root", check=False)


def refusing(command: Sequence[str], library: Path, case: Case) -> list[str]:
    """The same server, on a kernel of this case."""
    return ["env", f"LD_PRELOAD={library}", f"NOCUT_ERRNO={case.refused}", *command] if case.refused else list(command)


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
    parser.add_argument("--write", action="store_true", help="into docs/performance.rst")
    options = parser.parse_args()
    cases = [case for case in CASES if case.group in options.cases.split(",")]
    with lab() as place:
        scratch = place.scratch
        scratch.chmod(0o755)
        fill(scratch / "root", cases)
        binary, library = scratch / "tftpload", scratch / "nocut.so"
        run("gcc", "-O2", "-o", str(binary), str(Path(__file__).with_name("tftpload.c")))
        source = Path(__file__).with_name("nocut.c")
        run("gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl")
        for namespace in (place.server, place.client):
            state = "on" if options.offload else "off"
            run("ip", "netns", "exec", namespace, "ethtool", "-K", "eth0", "tx-udp-segmentation", state, check=False)
        commands = {}
        for name, prepare in SERVERS.items():
            command = prepare(scratch, scratch / "root")
            if options.only and name not in options.only.split(","):
                continue
            if installed(name, command):
                commands[name] = command
            else:
                print(f"{name} is not installed: left out", file=sys.stderr)
        results: dict[str, dict[str, list[Result | None]]] = {
            case.name: {name: [] for name in commands} for case in cases
        }
        for _ in range(options.rounds):
            for case in cases:
                for name, command in commands.items():
                    if any(one is None or not one.whole for one in results[case.name][name]):
                        continue  # it had its chance
                    process = place.start(name, refusing(command, library, case))
                    place.listening(process, 69)
                    try:
                        with cable(place, case):
                            results[case.name][name].append(measure(place, binary, process, case))
                    finally:
                        end(place, process)
    print(machine(), "- UDP segmentation by the cable" if options.offload else "")
    for group in dict.fromkeys(case.group for case in cases):
        ours = [case for case in cases if case.group == group]
        print(f"\n{tables(ours, results)}")
        if options.write:
            name = f"tftp-{group}-offload" if options.offload else f"tftp-{group}"
            title = plot(name, ours, results)
            head, word = TITLES[group]
            head += ", the cable cuts runs of packets" if options.offload else ""
            made = report.heading("benchmarks.tftp")
            report.put(name, f"{head}\n{'~' * len(head)}\n\n{word}\n\n{made}\n\n{tables(ours, results)}", title)
    if options.json:
        options.json.write_text(json.dumps(plain(results), indent=1) + "\n")


def compared(case: Case, by_name: dict[str, list[Result | None]]) -> dict[str, report.Spread | None]:
    """Each server's throughput, to what the cable carries, or to the best of the C servers in the same round."""
    rates = {name: [one.rate if one else 0.0 for one in runs] for name, runs in by_name.items()}
    peers = [seen for name, seen in rates.items() if name not in ("pybootd", *PYTHON)]
    best = [max(seen) for seen in zip_longest(*peers, fillvalue=0.0)]  # who did not finish is not asked again
    if case.link:
        best = [case.carried] * max(map(len, rates.values()))
    return {name: report.ratios(seen, best) if any(seen) else None for name, seen in rates.items()}


def tables(cases: Sequence[Case], results: dict[str, dict[str, list[Result | None]]]) -> str:
    """For each case: what pybootd does, and each server's ratio of throughput and CPU seconds for each GB."""
    names = list(next(iter(results.values())))
    rows = []
    for case in cases:
        ratios, cells = compared(case, results[case.name]), []
        for name in names:
            runs = [one for one in results[case.name][name] if one]
            if not runs:
                cells.append(f"nothing in {LIMIT} s")
                continue
            failed = sum(one.failed for one in runs)
            cells.append(f"{report.text(ratios[name])}, {median([one.cpu for one in runs]):.1f}")
            if case.group == "memory":
                cells[-1] += f", {median([one.memory for one in runs]):.0f} KB"
            if case.link:
                cells[-1] += f", {median([one.cpu * one.rate / 1000 for one in runs]):.2f}"
            if not all(one.whole for one in runs):
                cells[-1] += f", not in {LIMIT} s"
            if failed:
                cells[-1] += f", {failed} failed"
        ours = median([one.rate for one in results[case.name].get("pybootd", []) if one])
        rows.append([case.name, f"{ours:.1f}", *cells])
    return table(["case", "pybootd MB/s", *names], rows)


def plot(name: str, cases: Sequence[Case], results: dict[str, dict[str, list[Result | None]]]) -> str:
    """Throughput, to the best C server or to what the cable carries."""
    compares = [compared(case, results[case.name]) for case in cases]
    names = list(next(iter(results.values())))
    series = {server: [ratios[server] for ratios in compares] for server in names}
    yardstick = "what the cable carries" if cases[0].link else "the best of the C servers"
    return report.bars(name, f"throughput, to {yardstick}", [case.name for case in cases], series)


def plain(results: dict[str, dict[str, list[Result | None]]]) -> dict[str, object]:
    """The results as JSON has it."""
    return {
        case: {
            name: [
                one
                and {
                    "rate": one.rate,
                    "files": one.files,
                    "cpu": one.cpu,
                    "slowest": one.slowest,
                    "failed": one.failed,
                    "whole": one.whole,
                    "memory": one.memory,
                }
                for one in runs
            ]
            for name, runs in by_name.items()
        }
        for case, by_name in results.items()
    }


if __name__ == "__main__":
    main()
