"""
The laboratory: network namespaces with bridges, taps for virtual machines, further hosts behind virtual cables.

Every name carries the number of the process that made it, so that several test runs do not meet, and so that a run
that was killed is tidied up by the next one.  Nothing leaves the namespaces: they have no way out.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import secrets
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from tests.e2e.support.program import COMMON, Program, Unexpected

PREFIX = "pbt"
NAMESPACES = Path("/run/netns")
CLONE_NEWNET = 0x40000000
T = TypeVar("T")
_numbers = itertools.count(1)


class CommandFailed(AssertionError):
    """A command that the test relies on failed; the message has what it printed."""


def run(
    *command: str | Path,
    check: bool = True,
    timeout: float = 60,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """
    Run a command to its end, without input.

    @raise CommandFailed: it failed and C{check} is set, or it took longer than C{timeout} seconds.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            cwd=directory,
            env={**os.environ, "LC_ALL": COMMON["LC_ALL"], **(environment or {})},
        )
    except subprocess.TimeoutExpired as late:
        raise CommandFailed(f"{' '.join(words)}: not done after {timeout:g} s: {late.output!r}") from None
    if check and done.returncode:
        raise CommandFailed(
            f"{' '.join(words)}: status {done.returncode}: {done.stderr.strip() or done.stdout.strip()}"
        )
    return done


def until(condition: Callable[[], bool], timeout: float, what: str) -> None:
    """
    Wait until the condition holds.

    @raise Unexpected: it does not after C{timeout} seconds.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise Unexpected(f"{what}: not within {timeout:g} s")
        time.sleep(0.02)


class Namespace:
    """One network namespace: one host, as far as the network is concerned."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._programs: list[Program] = []
        run("ip", "netns", "add", name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *words: str) -> str:
        """C{ip} with these words, inside."""
        return run("ip", "-n", self.name, *words).stdout

    def inside(self, *command: str | Path) -> list[str | Path]:
        """The command that runs this command inside.  C{ip netns exec} becomes it: the pid is the command's."""
        return ["ip", "netns", "exec", self.name, *command]

    def run(
        self,
        *command: str | Path,
        check: bool = True,
        timeout: float = 60,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """L{run} inside."""
        told = {**COMMON, **(environment or {})}
        return run(*self.inside(*command), check=check, timeout=timeout, directory=directory, environment=told)

    def start(
        self, *command: str | Path, directory: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> Program:
        """Start a program inside; it is ended with the namespace at the latest."""
        name = Path(command[0]).name
        program = Program(name, self.inside(*command), directory=directory, environment=environment)
        self._programs.append(program)
        return program

    def listening(self, protocol: str, port: int) -> bool:
        """Whether somebody inside has this port; C{protocol} is C{udp} or C{tcp}."""
        state = "0A" if protocol == "tcp" else "07"
        table = run(*self.inside("cat", f"/proc/net/{protocol}", f"/proc/net/{protocol}6")).stdout
        rows = (line.split() for line in table.splitlines() if ":" in line)
        return any(row[1].endswith(f":{port:04X}") and row[3] == state for row in rows if len(row) > 3)

    def close(self) -> None:
        """End every program inside, and the namespace with its interfaces."""
        while self._programs:
            self._programs.pop().stop(5)
        _remove(self.name)


def within(namespace: Namespace, opens: Callable[[], T]) -> T:
    """
    Open something in another namespace, where it stays: a thread enters it, and ends.

    @raise OSError: it cannot be opened there.
    """
    opened: list[T] = []
    failed: list[OSError] = []

    def enter() -> None:
        try:
            with (NAMESPACES / namespace.name).open() as file:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(file.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            opened.append(opens())
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return opened[0]


class Segment:
    """A bridge inside a namespace: a switch, with that host's own address on it."""

    def __init__(self, lab: Lab, namespace: Namespace, bridge: str, address: str) -> None:
        self._lab = lab
        self.namespace = namespace
        self.bridge = bridge
        self.address = address.partition("/")[0]
        """The address of the bridge's own host."""
        self._ports = itertools.count()
        ip = namespace.ip
        # no STP and no delay: a port forwards at once; the veth gives the bridge a carrier before any machine runs
        options = ("forward_delay", "0", "stp_state", "0", "mcast_snooping", "0")
        # an address of its own: else it takes its lowest port's, another one with every new port that is lower, and
        # who has asked for it before talks to nobody until that is forgotten
        self.mac = "02:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(5))
        ip("link", "add", bridge, "address", self.mac, "type", "bridge", *options)
        ip("addr", "add", address, "brd", "+", "dev", bridge)
        ip("link", "add", f"{bridge}a", "type", "veth", "peer", "name", f"{bridge}b")
        ip("link", "set", f"{bridge}b", "up")
        ip("link", "set", f"{bridge}a", "master", bridge, "up")
        ip("link", "set", bridge, "up")

    def tap(self) -> str:
        """A new port for a virtual machine: the name of its tap."""
        name = f"{self.bridge}t{next(self._ports)}"
        self.namespace.ip("tuntap", "add", name, "mode", "tap")
        self.namespace.ip("link", "set", name, "master", self.bridge, "up")
        return name

    def host(self, address: str | None = None, *, mac: str | None = None) -> Namespace:
        """
        A new host on this switch, its interface C{eth0}.

        @param address: with prefix length; None: none yet, a DHCP client will run there.
        """
        namespace = self._lab.namespace()
        port = f"{self.bridge}h{next(self._ports)}"
        self.namespace.ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace.name)
        if mac:
            namespace.ip("link", "set", "eth0", "address", mac)
        if address:
            namespace.ip("addr", "add", address, "brd", "+", "dev", "eth0")
        namespace.ip("link", "set", "eth0", "up")
        self.namespace.ip("link", "set", port, "master", self.bridge, "up")
        return namespace


class Lab:
    """
    A server's host with a switch, C{10.77.0.1/24} on C{br0}; more hosts as the test asks for them.

    @ivar segment: the server's network.
    @ivar scratch: a directory of this laboratory's own, readable for all users.
    """

    NETWORK = "10.77.0"

    def __init__(self) -> None:
        remove_leftovers()
        self._umask = os.umask(0o022)  # servers and clients that are not root read what the tests write
        self._namespaces: list[Namespace] = []
        self._directory = tempfile.TemporaryDirectory(prefix="pybootd-test-")
        self.scratch = Path(self._directory.name)
        self.scratch.chmod(0o755)
        self.server = self.namespace()
        self.segment = Segment(self, self.server, "br0", f"{self.NETWORK}.1/24")

    def namespace(self) -> Namespace:
        """A new host without any network."""
        namespace = Namespace(f"{PREFIX}{os.getpid()}-{next(_numbers)}")
        self._namespaces.append(namespace)
        return namespace

    def relayed(self) -> Segment:
        """A second network, C{10.78.0.0/24}, behind a router (C{.1} there, C{10.77.0.2} here) for a relay agent."""
        router = self.segment.host(f"{self.NETWORK}.2/24")
        far = Segment(self, router, "br1", "10.78.0.1/24")
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.server.ip("route", "add", "10.78.0.0/24", "via", f"{self.NETWORK}.2")
        return far

    def directory(self, name: str) -> Path:
        """A new directory in the scratch directory."""
        path = self.scratch / name
        path.mkdir()
        return path

    def close(self) -> None:
        """End every program and remove everything."""
        try:
            while self._namespaces:
                self._namespaces.pop().close()
        finally:
            self._directory.cleanup()
            os.umask(self._umask)


def remove_leftovers() -> None:
    """Remove the namespaces of test runs that were killed."""
    for name in _namespaces():
        pid = name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            _remove(name)


def _namespaces() -> Iterator[str]:
    if NAMESPACES.is_dir():
        yield from (path.name for path in NAMESPACES.iterdir() if path.name.startswith(PREFIX))


def _remove(name: str) -> None:
    """End by its number whatever still runs in a namespace, then delete it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        pids = run("ip", "netns", "pids", name, check=False).stdout.split()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), number)
        if pids:
            time.sleep(0.2)
    run("ip", "netns", "del", name, check=False)
