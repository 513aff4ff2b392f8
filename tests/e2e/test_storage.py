"""
A disk that is full, fails, cannot be written, or whose files are damaged, removed or replaced.

What cannot be written is not promised, the log says why in one line, and service goes on by itself when it can.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.e2e.support.disks import NEEDED, FragileDisk, SmallDisk
from tests.e2e.support.lab import run
from tests.e2e.support.program import Program
from tests.e2e.support.promises import LeaseTestCase
from tests.e2e.support.servers import command

FAILS = "no lease can be given"
WORKS = "the lease store works again"


class StorageTestCase(LeaseTestCase):
    """A daemon whose leases are on a disk of their own."""

    def serve(self, disk: Path) -> Program:
        """The daemon, which knows a few machines."""
        self.configuration = self.configured(self.lab.directory("daemon"), f"sqlite:{disk}/leases")
        daemon = self.start(self.configuration)
        self.promises.ask(range(1, 21))
        return daemon

    def outage(self, daemon: Program, begin: Callable[[], object], end: Callable[[], object], reason: str) -> None:
        """
        Nothing can be written for a while: nobody new gets anything, then everybody does.

        @param reason: what the log says.
        """
        before = daemon.output.count(FAILS)
        begin()
        self.promises.load(4, 100000)
        daemon.expect(f"{FAILS}: .*{reason}")
        self.promises.rest()  # what was answered before has been noted
        self.promises.load(4, 100000)
        held, offers = self.promises.held(), self.promises.offers
        time.sleep(2.5)  # the store is tried meanwhile
        self.assertEqual(self.promises.held(), held)
        self.assertEqual(self.promises.offers, offers)
        self.assertEqual(daemon.output.count(FAILS), before + 1, daemon.output)
        self.assertNotIn("Traceback", daemon.output)
        end()
        daemon.expect(WORKS, 20)
        self.promises.until_acks(5)
        self.promises.rest()

    def again(self, daemon: Program) -> None:
        """After it was killed and started again every machine has its address."""
        self.kill(daemon)
        daemon = self.start(self.configuration)
        self.promises.ask(self.promises.held(), timeout=120)
        daemon.stop()

    def refused(self, *reasons: str, words: list[str] | None = None) -> None:
        """The daemon does not start, and says why in one line."""
        directory = self.configuration.parent
        done = self.lab.server.run(
            *(words or command("-p", configuration=self.configuration)), check=False, directory=directory
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        for reason in reasons:
            self.assertIn(reason, done.stderr)
        self.assertNotIn("Traceback", done.stdout + done.stderr)


class OutageTests(StorageTestCase):
    """While the daemon runs."""

    def test_full(self) -> None:
        """A full disk."""
        disk = SmallDisk(self.lab.directory("small"), 1024)
        self.addCleanup(disk.close)
        daemon = self.serve(disk.path)
        self.outage(daemon, disk.fill, disk.make_room, "make room on the disk")
        self.again(daemon)

    def test_moved(self) -> None:
        """The file, or its log, is moved away, and put back."""
        disk = self.lab.directory("disk")
        daemon = self.serve(disk)
        for name in ("leases", "leases-wal"):
            file, aside = disk / name, disk / "aside"
            away, back = partial(file.rename, aside), partial(aside.rename, file)
            self.outage(daemon, away, back, f"{name}: was removed or moved")
        self.again(daemon)

    def test_replaced(self) -> None:
        """Another file is in its place."""
        disk = self.lab.directory("disk")
        daemon = self.serve(disk)
        file, aside = disk / "leases", disk / "aside"

        def replace() -> None:
            file.rename(aside)
            shutil.copy(aside, file)

        self.outage(daemon, replace, lambda: aside.rename(file), "is not the file that was opened")
        self.again(daemon)


class FailingDiskTests(StorageTestCase):
    """A disk that fails."""

    needs = NEEDED

    def test_fails(self) -> None:
        """A disk that refuses to write for a while, as one does whose file system found a mistake."""
        disk = FragileDisk(self.lab.directory("disk"))
        self.addCleanup(disk.close)
        daemon = self.serve(disk.path)
        for error in ("EIO", "EROFS"):
            self.outage(daemon, partial(disk.fail, error), partial(disk.fail, "none"), "the disk fails")
        self.again(daemon)


class StartTests(StorageTestCase):
    """When the daemon starts."""

    def test_read_only(self) -> None:
        """A disk that cannot be written, and a directory that the daemon's user may not write to."""
        disk = SmallDisk(self.lab.directory("small"), 1024)
        self.addCleanup(disk.close)
        self.configuration = self.configured(self.lab.directory("daemon"), f"sqlite:{disk.path}/leases")
        twistd = ["-n", "--pidfile=", "--uid=nobody", "--gid=nogroup"]
        self.refused(
            f"{disk.path}/leases: Permission denied; the file and its directory must be writable",
            "for the daemon's user, nobody",
            words=command("-p", configuration=self.configuration, twistd=twistd),
        )
        disk.read_only()
        self.refused(f"{disk.path}/leases: Read-only file system; the file and its directory must be writable")

    def test_damaged(self) -> None:
        """A damaged file is not touched, and a copy in its place is used."""
        disk = self.lab.directory("disk")
        daemon = self.serve(disk)
        self.promises.load(8, 3000)
        self.promises.until_acks(2000, timeout=90)
        self.promises.rest()
        daemon.stop()
        file, copy = disk / "leases", disk / "copy"
        shutil.copy(file, copy)
        sound = file.read_bytes()
        damaged = sound[:8192] + b"\xa5" * 12288 + sound[20480:]
        for bad in (damaged, b"\0" * 100 + sound[100:], sound[: len(sound) // 2]):
            file.write_bytes(bad)
            self.refused(f"{file}: ", "put a copy in its place, or move it away")
            self.assertEqual(file.read_bytes(), bad)
        shutil.copy(copy, file)
        daemon = self.start(self.configuration)
        self.promises.ask(self.promises.held(), timeout=60)
        daemon.stop()


class CommandTests(StorageTestCase):
    """C{pybootd leases} beside the daemon."""

    def test_beside(self) -> None:
        """It lists what was promised, and ends a lease; the machine gets its address again when it asks."""
        daemon = self.serve(self.lab.directory("disk"))
        held = self.promises.held()
        lines = self.leases().splitlines()
        self.assertEqual({line.split()[0] for line in lines}, set(held.values()))
        address = held[7]
        self.assertIn(f"{address} is given back by 02:50:00:00:00:07", self.leases("release", address))
        (line,) = [line for line in self.leases().splitlines() if line.startswith(f"{address} ")]
        self.assertIn("released", line)
        daemon.expect(f"02:50:00:00:00:07.*{address}.*")
        self.promises.ask(held)
        self.assertNotIn("released", self.leases())
        self.again(daemon)

    def leases(self, *words: str) -> str:
        """What it prints."""
        return run(sys.executable, "-m", "pybootd", "leases", "-c", self.configuration, *words).stdout
