"""
No lease is lost: the daemon is killed at any moment while machines boot.

C{PYBOOTD_ROUNDS} says how often it is killed.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from twisted.internet.defer import maybeDeferred

from pybootd.leases.sqlite import SqliteStore
from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.program import Program
from tests.e2e.support.promises import Promises, missing
from tests.e2e.support.servers import command, ini

ROUNDS = int(os.environ.get("PYBOOTD_ROUNDS", "40"))
NEW = 40
"""Unknown machines in a round at most."""

RECENT = 300
"""How many machines are asked again on the wire after a restart; the store is asked about all of them."""

STARTING = 0.8
"""Seconds: about how long the daemon takes to start."""


class LeaseTestCase(EndToEndTestCase):
    """A large network, and a crowd on it."""

    def setUp(self) -> None:
        super().setUp()
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

    def start(self, configuration: Path) -> Program:
        """The daemon, which does not listen yet; it works where its configuration is."""
        words = command("-p", configuration=configuration)
        return self.lab.server.start(*words, directory=configuration.parent)

    def kill(self, daemon: Program) -> None:
        """End it without a chance to tidy up."""
        daemon.signal(signal.SIGKILL)
        self.assertEqual(daemon.wait(5), -signal.SIGKILL, daemon.output)
        self.assertNotIn("Traceback", daemon.output)


class KillTests(LeaseTestCase):
    """C{kill -9}."""

    def test_killed(self) -> None:
        """
        Whenever the daemon is killed, every machine that had its ACK is on record; after a restart it gets the same
        address again, and nobody else does.
        """
        directory = self.lab.directory("leases")
        configuration = self.configured(directory)
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        try:
            for number in range(ROUNDS):
                self.round(configuration, chance, early=number % 5 == 4)
            daemon = self.start(configuration)
            self.promises.rest()
            self.promises.ask(self.promises.held(), timeout=120)
            daemon.stop()
        except AssertionError as error:
            raise AssertionError(f"round {number} of the seed {seed}: {error}") from error
        self.assertGreater(len(self.promises.held()), ROUNDS)

    def round(self, configuration: Path, chance: random.Random, early: bool) -> None:
        """One life of the daemon, which may end before it has begun to serve."""
        daemon = self.start(configuration)
        if early:
            time.sleep(chance.uniform(0, STARTING))
        else:
            held = list(self.promises.held())
            self.promises.ask({*held[-NEW:], *chance.sample(held, min(len(held), RECENT))})
            self.promises.load(8, NEW)
            self.promises.until_acks(1)
            time.sleep(chance.uniform(0, 0.25))
        self.kill(daemon)
        self.promises.check()
        held_now = self.promises.held()
        if held_now:
            leases = SqliteStore(configuration.parent / "pybootd.leases", maybeDeferred).read()
            self.assertEqual(missing(held_now, leases), [])
