"""C{pybootd boot}."""

from __future__ import annotations

import sys
from io import StringIO
from ipaddress import IPv4Address
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd import here
from pybootd.cli import main
from pybootd.commands import boot
from pybootd.errors import StoreError
from pybootd.leases.lease import Lease, State
from pybootd.orders import OrderBook
from tests.support.dhcp import HOSTS, MAC, OTHER, number

BASE = """
[bootpd]
pool_start = 10.0.0.100
[subnet 10.9.0.0/16]
pool_start = 10.9.0.100
[subnet 10.50.0.0/24]
[host 52-54-00-00-00-02]
address = 10.9.0.7
var.which = there
[filters]
per = {{which}}
[tftpd]
root = {root}
[leases]
store = sqlite:{root}/pybootd.leases
"""
NAME = "52-54-00-00-00-01"


class BootTests(SynchronousTestCase):
    """On a host with two networks, and a third one behind a relay."""

    def setUp(self) -> None:
        """A configuration, a root with one file, and a network that keeps what is sent."""
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir()
        (self.root / "there").write_text("x")
        self.file = self.root / "x.ini"
        self.file.write_text(BASE.format(root=self.root))
        self.book = OrderBook(self.root / "pybootd.next")
        self.sent: list[tuple[bytes, str, int]] = []
        self.patch(here, "interfaces", lambda: HOSTS)
        self.patch(boot, "wake", self.wake)

    def wake(self, mac: bytes, address: IPv4Address, interface: int) -> None:
        """In place of the network."""
        self.sent.append((mac, str(address), interface))

    def run_with(self, *words: str) -> tuple[int, str, str]:
        """Exit status, output, errors."""
        out, err = StringIO(), StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        status = self.assertRaises(SystemExit, main, ["boot", "-c", str(self.file), *words]).code
        return int(status or 0), out.getvalue(), err.getvalue()

    def test_order(self) -> None:
        """Given, listed, taken back."""
        status, said, error = self.run_with(NAME, "there", "--once")
        self.assertEqual((status, error), (0, ""))
        self.assertEqual(said, f"52:54:00:00:00:01 boots there the next time ({self.root}/pybootd.next)\n")
        self.assertEqual(self.book.of(MAC), "there")
        self.assertRegex(self.run_with()[1], r"^52:54:00:00:00:01  there  since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n$")
        self.assertEqual(self.run_with(NAME, "--cancel")[:2], (0, "52:54:00:00:00:01 boots as usual\n"))
        self.assertEqual((self.book.of(MAC), self.run_with()), ("", (0, "", "")))
        status, _, error = self.run_with(NAME, "--cancel")
        self.assertEqual((status, error), (1, "52:54:00:00:00:01 has no next boot in order\n"))

    def test_doubt(self) -> None:
        """A file that is not there is ordered all the same, and said; URLs and filters are right."""
        status, _, error = self.run_with(NAME, "gone", "--once")
        self.assertEqual((status, error), (0, "pybootd: gone: there is no such file to be had now\n"))
        self.assertEqual(self.book.of(MAC), "gone")
        self.assertEqual(self.run_with(NAME, "http://h/x", "--once")[2], "")
        self.assertEqual(self.run_with("52-54-00-00-00-02", "per", "--once")[2], "")

    def test_wake(self) -> None:
        """By every interface that is served, and towards networks behind relays."""
        status, said, _ = self.run_with(NAME, "there", "--once", "--wake")
        self.assertEqual(status, 0)
        self.assertEqual(self.sent, [(MAC, "255.255.255.255", 2), (MAC, "255.255.255.255", 3), (MAC, "10.50.0.255", 0)])
        self.assertIn("is woken by eth0, eth1, the way to 10.50.0.0/24", said)

    def test_wake_one(self) -> None:
        """A machine with an address of its own is behind that network's interface."""
        self.assertEqual(self.run_with("52:54:00:00:00:02", "--wake")[0], 0)
        self.assertEqual(self.sent, [(OTHER, "255.255.255.255", 3)])

    def test_wake_leased(self) -> None:
        """So is a machine that has, or had, a lease there; a store that cannot be read says nothing of it."""
        lease = Lease(number("10.0.0.100"), MAC, State.RELEASED, 5.0)
        moved = Lease(number("10.9.0.100"), MAC, State.BOUND, 9e9)
        self.patch(boot, "on_record", lambda config: [lease, moved])
        self.run_with(NAME, "--wake")
        self.assertEqual(self.sent, [(MAC, "255.255.255.255", 3)])

        def broken(config: object) -> None:
            raise StoreError("no such database")

        self.patch(boot, "on_record", broken)
        self.assertEqual(self.run_with(NAME, "--wake")[0], 0)
        self.assertEqual(len(self.sent), 4)

    def test_not_woken(self) -> None:
        """Nothing could leave: status 1, and why."""

        def refuse(*arguments: object) -> None:
            raise OSError(101, "Network is unreachable")

        self.patch(boot, "wake", refuse)
        status, _, error = self.run_with("52-54-00-00-00-02", "--wake")
        self.assertEqual((status, error), (1, "52:54:00:00:00:02 cannot be woken: eth1: Network is unreachable\n"))

    def test_usage(self) -> None:
        """What belongs together, and what does not."""
        for words in (
            (NAME,),
            (NAME, "there"),
            (NAME, "--once"),
            ("--once",),
            ("--cancel",),
            ("--wake",),
            (NAME, "there", "--once", "--cancel"),
            (NAME, "--cancel", "--wake"),
            (NAME, "a\nb", "--once"),
            ("nonsense", "there", "--once"),
            (NAME, "there", "more", "--once"),
        ):
            self.assertEqual(self.run_with(*words)[0], 2, words)
