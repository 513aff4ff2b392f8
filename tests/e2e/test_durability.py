"""
No lease is lost: while machines boot, the daemon is killed, and the power is cut, at any moment.

C{PYBOOTD_ROUNDS} says how often the daemon is killed; the power is cut a few times for each ten of them.
"""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred

from pybootd.leases.lease import Lease
from pybootd.leases.sqlite import SqliteStore
from tests.e2e.support.disks import NEEDED, FragileDisk
from tests.e2e.support.promises import LeaseTestCase, missing

ROUNDS = int(os.environ.get("PYBOOTD_ROUNDS", "40"))
NEW = 40
"""Unknown machines in a round at most."""

LIVES = max(2, ROUNDS // 8)
"""How often the power is cut, and the daemon started on what is left; C{CUTS}: how often it could have been before."""

CUTS = 6

RECENT = 300
"""How many machines are asked again on the wire after a restart; the store is asked about all of them."""

TIDY = "from pybootd.leases import sqlite\nsqlite.GROWN = 100\n"
"""The daemon drops outdated records again and again, and not just after a hundred thousand."""

STARTING = 0.8
"""Seconds: about how long the daemon takes to start."""


class KillTests(LeaseTestCase):
    """C{kill -9}."""

    def test_killed(self) -> None:
        """
        Whenever the daemon is killed, every machine that had its ACK is on record; after a restart it gets the same
        address again, and nobody else does.
        """
        directory = self.lab.directory("leases")
        configuration = self.configured(directory)
        try:
            for number in range(ROUNDS):
                self.round(configuration, early=number % 5 == 4)
            daemon = self.start(configuration)
            self.promises.rest()
            held = self.promises.held()
            self.promises.ask(held, timeout=60 + len(held) / 100)
            daemon.stop()
        except AssertionError as error:
            raise AssertionError(f"round {number} of the seed {self.seed}: {error}") from error
        self.assertGreater(len(self.promises.held()), ROUNDS)

    def round(self, configuration: Path, early: bool) -> None:
        """One life of the daemon, which may end before it has begun to serve."""
        daemon = self.start(configuration, self.chance.choice(("", TIDY)))
        if early:
            time.sleep(self.chance.uniform(0, STARTING))
        else:
            held = list(self.promises.held())
            self.promises.ask({*held[-NEW:], *self.chance.sample(held, min(len(held), RECENT))})
            self.promises.load(8, NEW)
            self.promises.until_acks(1)
            time.sleep(self.chance.uniform(0, 0.25))
        self.kill(daemon)
        self.promises.check()
        held_now = self.promises.held()
        if held_now:
            leases = SqliteStore(configuration.parent / "pybootd.leases", maybeDeferred).read()
            self.assertEqual(missing(held_now, leases), [])


class PowerTests(LeaseTestCase):
    """The power is cut."""

    needs = NEEDED

    def setUp(self) -> None:
        super().setUp()
        self.numbers = itertools.count()

    def test_cut(self) -> None:
        """
        Whenever the power is cut, every machine that had its ACK is on record, whatever the disk made of what was not
        synced; after a restart it gets the same address again, and nobody else does.
        """
        left: Path | None = None
        try:
            for _ in range(LIVES):
                left, lost = self.life(left, CUTS, TIDY)
                self.assertEqual(lost, [])
        except AssertionError as error:
            raise AssertionError(f"of the seed {self.seed}: {error}") from error
        self.assertGreater(len(self.promises.held()), LIVES)

    def test_not_synced(self) -> None:
        """The disk does lose what was not synced: if the store did not wait for the disk, leases would be lost."""
        for level in ("OFF", "NORMAL"):
            code = f"""from pybootd.leases import sqlite
sqlite.SETTINGS = [setting.replace("synchronous = FULL", "synchronous = {level}") for setting in sqlite.SETTINGS]"""
            _, lost = self.life(None, 12, code)
            self.assertNotEqual(lost, [], level)
            self.promises.only({})

    def life(self, contents: Path | None, cuts: int, code: str = "") -> tuple[Path, list[str]]:
        """
        The daemon is started on what a power cut has left, and the power is cut several times: in as many possible
        worlds, of which the last one comes true.

        @return: what that one has left, and which leases are missing in any of them.
        """
        disk = FragileDisk(self.lab.directory(f"disk{next(self.numbers)}"), contents)
        self.addCleanup(disk.close)
        configuration = self.configured(self.lab.directory(f"life{next(self.numbers)}"), f"sqlite:{disk.path}/leases")
        daemon = self.start(configuration, code)
        if held := self.promises.held():
            self.promises.ask(held)
        self.promises.load(8, cuts * NEW)
        self.promises.until_acks(1)
        lost = []
        for _ in range(cuts):
            time.sleep(self.chance.uniform(0, 0.1))
            held = self.promises.held()
            left = disk.cut(self.lab.scratch / f"cut{next(self.numbers)}", self.chance.getrandbits(32))
            lost += missing(held, on_record(left / "leases"))
        self.kill(daemon)
        self.promises.rest()
        self.promises.check()
        self.promises.only(held)
        disk.close()
        return left, lost


def on_record(file: Path) -> Sequence[Lease]:
    """What the store finds in its file after a power cut; nothing where it cannot be opened."""
    copy = file.parent.with_suffix(".copy")
    shutil.copytree(file.parent, copy)
    store = SqliteStore(copy / file.name, maybeDeferred)
    found: list[Any] = []
    store.open().addCallbacks(found.append, lambda failure: found.append(()))
    store.close()
    return tuple(found[0])
