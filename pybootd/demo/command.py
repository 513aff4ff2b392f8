"""The command C{pybootd demo}."""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from attrs import evolve
from twisted.python import usage

import pybootd
from pybootd.demo import needs
from pybootd.demo.kernel import Kernel, find
from pybootd.demo.plan import Plan, prepare
from pybootd.errors import EnvironmentProblem
from pybootd.flags import BaseOptions, CommandSynopsis, Flags

DASHBOARD = 8067
"""The port on this host's loopback; any other one if it is taken."""

PC = ("x86_64", "amd64")

ENDING = 20.0
"""Seconds that the stage may take to clear up; then it goes at once."""


class DemoOptions(CommandSynopsis, BaseOptions):
    """C{pybootd demo}."""

    synopsis = "Usage: pybootd demo [--firmware bios|uefi] [--stay] [--system DIRECTORY]"
    longdesc = (
        "Boots a virtual machine with an empty disk from a pybootd of its own, in a network namespace of its own: no "
        "real network is touched, and nothing is left behind.  Needs root, for the namespace."
    )
    optParameters = [
        ["firmware", None, "bios", "The machine's firmware: bios or uefi."],
        ["system", None, "/", "Where boot/vmlinuz-* and lib/modules of the kernel to boot are."],
    ]
    optFlags = [["stay", None, "Go on serving after the boot, until Ctrl-C."]]

    def postOptions(self) -> None:
        """@raise usage.UsageError: there is no such firmware."""
        if self["firmware"] not in needs.FIRMWARE:
            raise usage.UsageError(f"--firmware is {' or '.join(needs.FIRMWARE)}")

    def flags(self) -> Flags:
        """The demonstration has a configuration of its own."""
        return Flags(config=Path())


def demo(options: DemoOptions, flags: Flags) -> int:
    """
    Boot the machine; 0 if it did.

    @raise EnvironmentProblem: this host cannot; says what to do.
    """
    if sys.platform != "linux":
        raise EnvironmentProblem("the demonstration needs Linux, for its network namespace")
    if platform.machine() not in PC:
        raise EnvironmentProblem("the demonstration needs a PC (x86-64): the machine boots this host's own kernel")
    found, kernel = _gather(options["firmware"], Path(options["system"]))
    if os.geteuid() != 0:
        raise EnvironmentProblem("the demonstration needs root, for its network namespace: sudo pybootd demo")
    with tempfile.TemporaryDirectory(prefix="pybootd-demo-") as place, _listener() as listener:
        directory = Path(place)
        port = listener.getsockname()[1]
        plan = prepare(directory, options["firmware"], kernel, found.paths, (port, listener.fileno()))
        evolve(plan, stay=bool(options["stay"])).save(directory / "plan.json")
        print(f"A machine with {options['firmware'].upper()} and an empty disk boots Linux {kernel.version}.")
        print(f"Dashboard: http://127.0.0.1:{port}/")
        print("Ctrl-C ends it all.", flush=True)
        return _run(found.paths[needs.UNSHARE], directory, plan)


def _gather(firmware: str, system: Path) -> tuple[needs.Found, Kernel]:
    """
    What is needed, from this host.

    @raise EnvironmentProblem: something is missing.
    """
    found = needs.look((needs.UNSHARE, needs.IP, needs.QEMU, *needs.FIRMWARE[firmware], needs.BUSYBOX))
    kernel = find(system)
    missing = [*found.missing, *([needs.KERNEL] if kernel is None else [])]
    busybox = found.paths.get(needs.BUSYBOX)
    if busybox is not None and not needs.static(busybox):
        missing.append(needs.BUSYBOX)
    if missing or kernel is None:
        raise EnvironmentProblem(needs.remedy(missing, needs.installer()))
    return found, kernel


@contextmanager
def _listener() -> Iterator[socket.socket]:
    """
    The dashboard's socket, on this host's own loopback.

    The daemon is in another network namespace, and a browser is here: a socket stays where it was made.
    """
    with socket.socket() as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", DASHBOARD))
        except OSError:
            sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock


def _run(unshare: Path, directory: Path, plan: Plan) -> int:
    """The stage, in namespaces of its own; its end is the end of everything in them."""
    command = [
        *(str(unshare), "--net", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *(sys.executable, "-m", "pybootd.demo.stage", str(directory)),
    ]
    source = Path(pybootd.__file__).resolve().parents[1]
    before = signal.signal(signal.SIGTERM, _ended)
    try:
        stage = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            pass_fds=(plan.socket,),
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, (str(source), os.environ.get("PYTHONPATH")))),
            },
        )
        try:
            return min(stage.wait(), 1)
        except KeyboardInterrupt:
            return _end(stage)
        finally:
            _end(stage)
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(stage: subprocess.Popen[bytes]) -> int:
    """Tell the stage to end, and wait for it."""
    assert stage.stdin is not None
    stage.stdin.close()
    try:
        return min(stage.wait(ENDING), 1)
    except subprocess.TimeoutExpired:
        stage.kill()  # and with it everything that it runs
        return stage.wait() and 1


def _ended(number: int, frame: object) -> NoReturn:
    raise SystemExit(1)
