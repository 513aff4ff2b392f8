"""
The inside of the demonstration, the first process of its namespaces: C{python -m pybootd.demo.stage PLAN}.

It makes the network, starts the daemon and the machine, and shows what both say, line by line, with the seconds since
the machine was switched on.  It ends with the boot, or when its standard input does: then whoever started it is gone.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

from pybootd.demo.console import Lines
from pybootd.demo.initramfs import UP
from pybootd.demo.needs import SEARCHED
from pybootd.demo.plan import Plan
from pybootd.errors import EnvironmentProblem

READY = 30.0
"""Seconds that the daemon may take until it listens."""

_STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")
_LISTENING = {"tcp": "0A", "udp": "07"}
"""The state column of C{/proc/net/tcp} and C{udp}, where a socket listens or has a port."""


class Program:
    """One that runs on the stage, and what it prints."""

    def __init__(self, name: str, command: Sequence[str], directory: Path, socket: int | None = None) -> None:
        """@param socket: a descriptor that is handed over as systemd does."""
        self.name = name
        self.lines = Lines()
        if socket is not None:
            # the process that listens has to be the one that LISTEN_PID names, so the shell becomes it
            handed = f'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&{socket}'
            command = ["/bin/sh", "-c", handed, "sh", *command]
        self._process = subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=() if socket is None else (socket,),
            env={**os.environ, "PATH": SEARCHED, "PYTHONUNBUFFERED": "1"},
        )
        assert self._process.stdout is not None
        self.output = self._process.stdout
        os.set_blocking(self.output.fileno(), False)

    def read(self) -> list[str]:
        """The new lines; at its end the last one too."""
        data = self.output.read(65536)
        return self.lines.feed(data) if data else self.lines.end()

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """End it, first politely."""
        if not self.ended:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Stage:
    """The play."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self._plan = plan
        self._directory = directory
        self._selector = DefaultSelector()
        self._programs: list[Program] = []
        self._on = float("inf")
        """When the machine was switched on."""
        self._gone = False
        self.booted: float | None = None
        """Seconds until its system was up."""

    def play(self) -> float | None:
        """In how many seconds the machine booted, if it did."""
        network(self._plan)
        self._selector.register(sys.stdin, EVENT_READ)
        try:
            daemon = self._start("server", self._plan.daemon, self._plan.socket)
            deadline = time.monotonic() + READY
            while not self._over(daemon, deadline) and not all(listening(*port) for port in self._plan.ports):
                self._show(0.05)
            if not self._over(daemon, deadline):
                self._boot(daemon)
        finally:
            for program in reversed(self._programs):
                program.stop()
            self._show(0)
        return self.booted

    def _boot(self, daemon: Program) -> None:
        self._on = time.monotonic()
        machine = self._start("machine", self._plan.machine)
        deadline = self._on + self._plan.limit
        while not self._over(daemon, deadline) and not machine.ended:
            self._show(0.5)
        self._show(0)
        say("The machine did not boot." if self.booted is None else f"The machine booted in {self.booted:.1f} s.")
        while self.booted is not None and self._plan.stay and not self._over(daemon):
            self._show(0.5)

    def _start(self, name: str, command: Sequence[str], socket: int | None = None) -> Program:
        program = Program(name, command, self._directory, socket)
        self._programs.append(program)
        self._selector.register(program.output, EVENT_READ, program)
        return program

    def _over(self, daemon: Program, deadline: float = float("inf")) -> bool:
        return self._gone or daemon.ended or time.monotonic() > deadline

    def _show(self, wait: float) -> None:
        """Show what is said within so many seconds."""
        for key, _ in self._selector.select(wait):
            if key.data is None:
                if not os.read(0, 4096):
                    self._gone = True
                    self._selector.unregister(key.fileobj)
                continue
            program: Program = key.data
            lines = program.read()
            for line in lines:
                self._line(program, line)
            if program.ended and not lines:
                self._selector.unregister(key.fileobj)

    def _line(self, program: Program, line: str) -> None:
        seconds = time.monotonic() - self._on
        if program.name == "machine" and line == f"{UP} {self._plan.mark}":
            self.booted = seconds
        when = f"{seconds:6.1f} s" if seconds >= 0 else " " * 8
        say(f"{when}  {program.name:7}  {_STAMP.sub('', line)}")


def say(line: str) -> None:
    """One line, at once."""
    print(line, flush=True)


def network(plan: Plan) -> None:
    """
    A cable with the server at one end; the machine will be at the other.

    @raise EnvironmentProblem: this host cannot make it.
    """
    for words in (
        "link set lo up",
        f"tuntap add {plan.tap} mode tap",
        f"addr add {plan.address} brd + dev {plan.tap}",
        f"link set {plan.tap} up",
    ):
        done = subprocess.run(
            ["ip", *words.split()], check=False, capture_output=True, text=True, env={"PATH": SEARCHED}
        )
        if done.returncode:
            raise EnvironmentProblem(f"ip {words}: {done.stderr.strip()}")


def listening(protocol: str, port: int) -> bool:
    """Whether somebody in this namespace has this port."""
    rows = (line.split() for line in Path(f"/proc/net/{protocol}").read_text().splitlines()[1:])
    return any(row[1].endswith(f":{port:04X}") and row[3] == _LISTENING[protocol] for row in rows)


def main() -> None:
    """Status 0: the machine booted."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this hears it too, and ends our input
    directory = Path(sys.argv[1])
    stage = Stage(Plan.load(directory / "plan.json"), directory)
    try:
        raise SystemExit(stage.play() is None)
    except EnvironmentProblem as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
