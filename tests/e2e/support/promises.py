"""
What was promised to a crowd of machines, and whether it is kept.

A promise is an ACK that a machine has received.  It is kept when the machine gets the same address whenever it asks,
when nobody else gets that address, and when the lease store knows of it whatever happened to the server.
"""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path

from pybootd.leases.lease import Lease, State
from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.crowd import hardware_address
from tests.e2e.support.lab import Namespace
from tests.e2e.support.program import Program
from tests.e2e.support.servers import command, ini

TREE = Path(__file__).resolve().parents[3]


class Broken(AssertionError):
    """A promise was broken."""


class Promises:
    """
    A crowd, and all that it was promised.

    @ivar addresses: of each machine that received an ACK.
    @ivar offers: how many OFFERs came for machines that have no address yet.
    """

    def __init__(self, namespace: Namespace, interface: str) -> None:
        """@param namespace: where the crowd lives."""
        self.addresses: dict[int, str] = {}
        self.offers = 0
        self.acks = 0
        self._resting = 0
        self._holders: dict[str, int] = {}
        self._latest: dict[int, int] = {}
        self._broken: list[str] = []
        self._news = threading.Condition()
        self._popen = subprocess.Popen(
            [*map(str, namespace.inside(sys.executable, "-m", "tests.e2e.support.crowd", interface))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=TREE,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            with self._news:
                self._heard(*line.decode().split())
                self._news.notify_all()

    def _heard(self, what: str, who: str, address: str = "") -> None:
        number = int(who)
        if what == "offer":
            self.offers += number not in self.addresses
        elif what == "resting":
            self._resting += 1
        elif what == "ack":
            self.acks += 1
            before, holder = self.addresses.get(number, address), self._holders.get(address, number)
            if before != address:
                self._broken.append(f"machine {number} had {before} and now has {address}")
            if holder != number:
                self._broken.append(f"{address} is given to {number}, and {holder} has it")
            self.addresses[number] = address
            self._holders[address] = number
            self._latest[number] = self.acks
        elif number in self.addresses:
            self._broken.append(f"machine {number} is refused {self.addresses[number]}, which it has")

    def _command(self, *words: object) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self._popen.stdin.flush()

    def load(self, width: int, new: int) -> None:
        """So many machines ask at any moment, C{new} unknown ones at most, then known ones again and again."""
        self._command("load", width, new)

    def rest(self) -> None:
        """Nobody asks any more, and every answer that came has been noted."""
        with self._news:
            before = self._resting
        self._command("rest")
        with self._news:
            if not self._news.wait_for(lambda: self._resting > before, 60):
                raise Broken("the crowd does not come to rest")

    def only(self, held: dict[int, str]) -> None:
        """Just these promises count; what was promised later is forgotten."""
        with self._news:
            self.addresses = dict(held)
            self._holders = {address: number for number, address in held.items()}

    def ask(self, machines: Iterable[int], timeout: float = 60) -> None:
        """
        These machines are switched on.

        @raise Broken: not each of them has an ACK in time, or not for its own address.
        """
        numbers = set(machines)
        with self._news:
            since = self.acks
        self._command("ask", *numbers)
        deadline = time.monotonic() + timeout
        with self._news:
            while lacking := {number for number in numbers if self._latest.get(number, 0) <= since}:
                left = deadline - time.monotonic()
                if left <= 0 or self._broken:
                    break
                self._news.wait(left)
        self.check()
        if lacking:
            raise Broken(
                f"{len(lacking)} of {len(numbers)} machines have no ACK after {timeout:g} s: {list(lacking)[:5]}"
            )

    def until_acks(self, more: int, timeout: float = 60) -> None:
        """
        Wait for so many ACKs from now on.

        @raise Broken: they do not come.
        """
        deadline = time.monotonic() + timeout
        with self._news:
            wanted = self.acks + more
            while self.acks < wanted:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Broken(f"{wanted - self.acks} of {more} ACKs did not come within {timeout:g} s")
                self._news.wait(left)
        self.check()

    def check(self) -> None:
        """@raise Broken: an answer on the wire broke a promise."""
        with self._news:
            if self._broken:
                raise Broken("; ".join(self._broken[:5]))

    def held(self) -> dict[int, str]:
        """What was promised up to this moment."""
        with self._news:
            return dict(self.addresses)

    def close(self) -> None:
        """Send the machines home."""
        with contextlib.suppress(OSError):
            assert self._popen.stdin is not None
            self._popen.stdin.close()
        try:
            self._popen.wait(60)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait(60)
        self._reader.join(5)
        assert self._popen.stdout is not None
        self._popen.stdout.close()


def missing(promised: dict[int, str], leases: Iterable[Lease]) -> list[str]:
    """Promises that a store does not know of; empty when all are on record."""
    on_record = {lease.address: lease.key for lease in leases if lease.state is State.BOUND}
    return [
        f"{address} of machine {number}"
        for number, address in promised.items()
        if on_record.get(int(IPv4Address(address))) != hardware_address(number)
    ]


class LeaseTestCase(EndToEndTestCase):
    """
    A large network, and a crowd on it.

    @ivar chance: made of C{seed}, which belongs into the message of a failure.
    """

    def setUp(self) -> None:
        super().setUp()
        self.seed = random.randrange(1 << 32)
        self.chance = random.Random(self.seed)
        self.lab.server.ip("addr", "add", "10.80.0.1/16", "brd", "+", "dev", "br0")
        self.promises = Promises(self.lab.segment.host(), "eth0")
        self.addCleanup(self.promises.close)

    def configured(self, directory: Path, store: str = "sqlite:./pybootd.leases") -> Path:
        """A configuration for the crowd's network, in this directory."""
        file = directory / "pybootd.ini"
        bootpd = {
            "pool_start": "10.80.1.0",
            "pool_count": 60000,
            "allow_simple_dhcp": True,
            "conflict_check": 0,
        }
        file.write_text(ini({"bootpd": bootpd, "leases": {"store": store}, "bootfile": {"default": "pxelinux.0"}}))
        return file

    def start(self, configuration: Path, code: str = "") -> Program:
        """
        The daemon, which does not listen yet; it works where its configuration is.

        @param code: Python that is run first.
        """
        words = command("-p", configuration=configuration)
        if code:
            words[1:3] = ["-c", f"{code}\nfrom pybootd.cli import main\nimport sys\nsys.exit(main())"]
        return self.lab.server.start(*words, directory=configuration.parent)

    def kill(self, daemon: Program) -> None:
        """End it without a chance to tidy up."""
        daemon.signal(signal.SIGKILL)
        self.assertEqual(daemon.wait(), -signal.SIGKILL, daemon.output)
        self.assertNotIn("Traceback", daemon.output)
