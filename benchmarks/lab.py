"""
Where benchmarks run: two network namespaces joined by one cable, a server on one core, its load on the other.

Everything is created below names of this process and removed at the end, whatever happened.  Nothing here touches a
real network.  Needs root and Debian's C{iproute2}.
"""

from __future__ import annotations

import compileall
import contextlib
import os
import platform
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import define, field

import pybootd

SERVER_ADDRESS = "10.91.0.1"
CLIENT_ADDRESS = "10.91.0.2"
PREFIX = 16
TICKS = os.sysconf("SC_CLK_TCK")
GROUPS = next(
    (p for p in map(Path, ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")) if (p / "cgroup.procs").exists()), None
)
"""Where the kernel counts for groups of processes: children are seen too whose parent does not wait for them."""


def run(*command: str, check: bool = True) -> str:
    """One command to its end; what it printed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


@define
class Process:
    """A server or a load generator under observation."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    group: Path | None = None

    def _tree(self) -> list[int]:
        pids = [self.popen.pid]
        for pid in pids:
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    pids += [int(child) for child in (task / "children").read_text().split()]
        return pids

    def cpu(self) -> float:
        """CPU seconds spent so far, in user and kernel mode, ended children included."""
        if self.group is not None:
            usage = (self.group / "cpu.stat").read_text().split()
            return int(usage[usage.index("usage_usec") + 1]) / 1e6
        total = 0
        for pid in self._tree():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                total += sum(map(int, fields[11:15]))
        return total / TICKS

    def memory(self) -> float:
        """Private memory in MB."""
        total = 0
        for pid in self._tree():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith(("Private_Clean", "Private_Dirty")):
                        total += int(line.split()[1])
        return total / 1024

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, by pid, and wait."""
        if self.popen.poll() is None:
            self.popen.send_signal(how)
            try:
                self.popen.wait(5)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()

    def forget(self) -> None:
        """Count no more; nothing of it runs any longer."""
        if self.group is not None:
            for pid in map(int, (self.group / "cgroup.procs").read_text().split()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 5
            while (self.group / "cgroup.procs").read_text() and time.monotonic() < deadline:
                time.sleep(0.01)
            self.group.rmdir()
            self.group = None


def counted() -> Path | None:
    """A new group, for a program and its children."""
    if GROUPS is None:
        return None
    group = GROUPS / f"pybootd-benchmark-{os.getpid()}-{time.monotonic_ns()}"
    try:
        group.mkdir()
    except OSError:
        return None
    return group


@define
class Lab:
    """Two namespaces and whatever was started in them."""

    server: str
    client: str
    scratch: Path
    _started: list[Process] = field(factory=list)

    def start(self, name: str, command: Sequence[str | Path], *, where: str = "", core: int = 0) -> Process:
        """Start a program in a namespace (the server's, if not said otherwise), pinned to one core."""
        log = self.scratch / f"{name}-{len(self._started)}.log"
        group = counted()
        enter = ["sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$@"', "sh"] if group else []
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [*enter, "ip", "netns", "exec", where or self.server, "taskset", "-c", str(core), *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.scratch,
                start_new_session=True,
            )
        process = Process(name, popen, log, group)
        self._started.append(process)
        return process

    def inside(
        self, *command: str, where: str = "", core: int = 1, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end in a namespace (the client's, if not said otherwise)."""
        return subprocess.run(
            ["ip", "netns", "exec", where or self.client, "taskset", "-c", str(core), *command],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.scratch,
            timeout=timeout,
        )

    def listening(self, process: Process, port: int, *, protocol: str = "udp", timeout: float = 60) -> float:
        """
        Wait until somebody in the server's namespace has the port.

        @return: seconds that it took.
        """
        begin = time.monotonic()
        needle = f":{port:04X} "
        while time.monotonic() - begin < timeout:
            if process.popen.poll() is not None:
                raise RuntimeError(f"{process.name} ended: {process.log.read_text(errors='replace')[-2000:]}")
            table = run("ip", "netns", "exec", self.server, "cat", f"/proc/net/{protocol}")
            if needle in table:
                return time.monotonic() - begin
            time.sleep(0.01)
        raise RuntimeError(f"{process.name} does not listen: {process.log.read_text(errors='replace')[-2000:]}")

    def clear(self) -> None:
        """End everything that was started."""
        while self._started:
            process = self._started.pop()
            process.stop()
            process.forget()


@contextlib.contextmanager
def lab(name: str = "") -> Iterator[Lab]:
    """
    A fresh laboratory; gone when the block ends.

    pybootd is compiled first, as pip does when it installs: compiling it at each start would take a third of the time.

    @param name: tells it from others that are there at the same time.
    """
    compileall.compile_dir(Path(pybootd.__file__).parent, quiet=1)
    server, client = f"pbs{os.getpid()}{name}", f"pbc{os.getpid()}{name}"
    with tempfile.TemporaryDirectory(prefix="pybootd-bench-") as scratch:
        place = Lab(server, client, Path(scratch))
        try:
            for name in (server, client):
                run("ip", "netns", "add", name)
                run("ip", "-n", name, "link", "set", "lo", "up")
            run("ip", "-n", server, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", client)
            for name, address in ((server, SERVER_ADDRESS), (client, CLIENT_ADDRESS)):
                run("ip", "-n", name, "addr", "add", f"{address}/{PREFIX}", "brd", "+", "dev", "eth0")
                run("ip", "-n", name, "link", "set", "eth0", "up")
            yield place
        finally:
            place.clear()
            for name in (server, client):
                for pid in run("ip", "netns", "pids", name, check=False).split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                run("ip", "netns", "del", name, check=False)


def median(values: Sequence[float]) -> float:
    """The median; not a number where nothing was measured."""
    return statistics.median(values) if values else float("nan")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A reStructuredText simple table."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def machine() -> str:
    """One line about this computer."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "unknown processor",
    )
    return f"{os.cpu_count()} cores, {model}, Linux {os.uname().release}, Python {platform.python_version()}"
