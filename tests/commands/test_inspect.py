"""C{pybootd leases}: who has which address, and an end to it."""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.cli import main
from pybootd.commands import inspect
from pybootd.leases.lease import Claim, Lease, State
from pybootd.leases.sqlite import SqliteStore
from tests.support.leases import at_once, bound, declined, fresh, key, released

MACHINE = "52:54:00:00:00:01"


class LeasesTestCase(SynchronousTestCase):
    """A configuration and its lease file."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.file = self.directory / "leases"
        self.configure(f"sqlite:{self.file}")
        self.store = SqliteStore(self.file, at_once)
        self.addCleanup(lambda: self.store.close())

    def configure(self, store: str) -> None:
        """The daemon's configuration."""
        text = f"[bootpd]\npool_start = 10.0.0.100\n[leases]\nstore = {store}\n[bootfile]\ndefault = a\n"
        (self.directory / "pybootd.ini").write_text(text)

    def serve(self, *leases: Lease) -> None:
        """A server has hold of the file, and wrote these down."""
        self.successResultOf(self.store.open())
        self.successResultOf(self.store.commit(fresh(*leases)))

    def command(self, *words: str) -> tuple[object, str, str]:
        """Status, output and errors of C{pybootd leases}."""
        output, errors = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", output)
        self.patch(sys, "stderr", errors)
        try:
            status: object = main(["leases", "-c", str(self.directory / "pybootd.ini"), *words])
        except SystemExit as end:
            status = end.code
        finally:
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        return status, output.getvalue(), errors.getvalue()


class ListTests(LeasesTestCase):
    """Who has which address."""

    def test_beside(self) -> None:
        """While a server has hold of the file, and once it has ended."""
        self.serve(bound(1, 2, float("inf"), hostname="no\nde"), bound(0, 1, 0.0), released(2, 3), declined(3))
        status, output, _ = self.command()
        self.assertEqual(status, 0)
        first, second, third, fourth = output.splitlines()
        self.assertTrue(first.startswith(f"10.0.0.100       {MACHINE}  until 19"), first)
        self.assertRegex(second, r"^10\.0\.0\.101 .* for ever  no\S+de$")
        self.assertRegex(third, r"^10\.0\.0\.102 .* released$")
        self.assertRegex(fourth, r"^10\.0\.0\.103 .* declined$")
        self.successResultOf(self.store.close())
        self.assertEqual(self.command(), (0, output, ""))

    def test_json(self) -> None:
        """One object a line."""
        self.serve(bound(0, 1, 5.5, hostname="node"), bound(1, 2, float("inf")))
        first, second = map(json.loads, self.command("--json")[1].splitlines())
        lease = {"address": "10.0.0.100", "mac": MACHINE, "state": "bound", "expires": 5.5, "hostname": "node"}
        self.assertEqual(first, lease)
        self.assertIsNone(second["expires"])

    def test_no_file(self) -> None:
        """Where there is no file yet that is said, and none is made."""
        status, output, errors = self.command()
        self.assertEqual((status, output), (1, ""))
        self.assertIn(f"{self.file}: No such file: no server has served with this configuration yet", errors)
        self.assertFalse(self.file.exists())

    def test_memory(self) -> None:
        """A store that cannot be looked into from outside has nothing to list."""
        self.configure("memory")
        self.assertEqual(self.command(), (0, "", ""))


class ReleaseTests(LeasesTestCase):
    """An end to a lease."""

    def records(self) -> list[tuple[int, State]]:
        """What is on record: the last part of each address, and its state."""
        return sorted((lease.address & 255, lease.state) for lease in self.store.read())

    def test_alone(self) -> None:
        """Without a server the command ends it itself, by address or machine."""
        self.serve(bound(0, 1), bound(1, 2))
        self.successResultOf(self.store.close())
        self.assertEqual(self.command("release", MACHINE), (0, f"10.0.0.100 is given back by {MACHINE}\n", ""))
        self.assertEqual(self.records(), [(100, State.RELEASED), (101, State.BOUND)])
        self.assertEqual(self.command("release", "10.0.0.101")[0], 0)
        self.assertEqual(self.records(), [(100, State.RELEASED), (101, State.RELEASED)])

    def test_beside(self) -> None:
        """The server that has hold of the file is asked, and the command waits until it is done."""
        self.serve(bound(0, 1), bound(1, 2))

        def sleep(seconds: float) -> None:
            for lease in self.store.asked_back():
                ended = Lease(lease.address, lease.key, State.RELEASED, time.time())
                self.successResultOf(self.store.commit([Claim(ended, fresh=False)]))

        self.patch(inspect.time, "sleep", sleep)
        self.assertEqual(self.command("release", "10.0.0.100"), (0, f"10.0.0.100 is given back by {MACHINE}\n", ""))
        self.assertEqual(self.records(), [(100, State.RELEASED), (101, State.BOUND)])

    def test_not_taken_back(self) -> None:
        """A server that does not do it in time is named as the reason."""
        self.serve(bound(0, 1))
        self.patch(inspect, "PATIENCE", 0.05)
        status, output, errors = self.command("release", "10.0.0.100")
        self.assertEqual((status, output), (1, ""))
        self.assertIn("the running pybootd has not taken 10.0.0.100 back", errors)

    def test_no_file(self) -> None:
        """Where there is no file yet none is made: it would be root's, and not the daemon's."""
        status, output, errors = self.command("release", "10.0.0.100")
        self.assertEqual((status, output), (1, ""))
        self.assertIn("No such file", errors)
        self.assertEqual([path.name for path in self.directory.iterdir()], ["pybootd.ini"])

    def test_no_lease(self) -> None:
        """What has no lease cannot be given back; neither can what has been."""
        self.serve(bound(0, 1), released(1, 2))
        for who in ("10.0.0.101", "10.0.0.7", "52:54:00:00:00:09", "\x1b[31m"):
            status, output, errors = self.command("release", who)
            self.assertEqual((status, output), (1, ""))
            self.assertIn("has no lease", errors)
            self.assertNotIn("\x1b", errors)
        self.assertEqual(self.store.asked_back(), ())
        self.assertEqual(self.store.read()[0].key, key(1))
