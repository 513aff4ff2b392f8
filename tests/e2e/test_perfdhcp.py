"""Kea's perfdhcp as the judge: at a modest rate no request goes unanswered, and no address is given twice."""

from __future__ import annotations

import re
import sys

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.servers import Pybootd

SERVER, JUDGE = "10.77.0.1", "10.77.0.9"
NEW, RATE = 500, 100
"""Machines, and how many of them come in a second."""

RENEWED, RELEASED = 30, 20
"""A second, besides."""

LATE = 5
"""Seconds after which an answer counts as none: the host may be busy with other things."""

SECTION = re.compile(r"^\*\*\*Statistics for: (.+)\*\*\*$", re.MULTILINE)
FIGURE = re.compile(r"^([a-z ]+): ([0-9.]+)", re.MULTILINE)


class PerfdhcpTests(EndToEndTestCase):
    """perfdhcp stands for many machines behind a relay agent."""

    needs = ("perfdhcp",)

    def setUp(self) -> None:
        """A pybootd whose leases are durable, as it is by default."""
        super().setUp()
        self.lab.server.ip("addr", "add", f"{SERVER}/16", "dev", "br0")
        self.judge = self.lab.segment.host(f"{JUDGE}/16")
        bootpd = {"pool_start": "10.77.64.0", "pool_count": 4096, "allow_simple_dhcp": True}
        configuration = {"bootpd": bootpd, "leases": {"store": "sqlite:./leases"}}
        directory = self.lab.directory("pybootd")
        self.pybootd = Pybootd(self.lab.server, directory, configuration, "-p", ports=[("udp", 67)])

    def judged(self, *options: object, status: int = 0) -> dict[str, dict[str, float]]:
        """
        Let it ask; its figures for each kind of exchange.

        @param status: 0: all was answered; 3: not all.
        """
        words = ("perfdhcp", "-4", "-l", JUDGE, "-r", RATE, "-n", NEW, "-d", LATE, "-W", 1_000_000, "-s", 1, *options)
        done = self.judge.run(*map(str, words), SERVER, check=False, timeout=60)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        parts = SECTION.split(done.stdout)[1:]
        return {
            name: {what: float(figure) for what, figure in FIGURE.findall(text)}
            for name, text in zip(parts[::2], parts[1::2], strict=True)
        }

    def test_new(self) -> None:
        """New machines, each an address of its own, all of them on record."""
        figures = self.judged("-R", 2**32 - 1, "-u")
        for name in ("DISCOVER-OFFER", "REQUEST-ACK"):
            found = figures[name]
            self.assertEqual((found["drops"], found["orphans"], found["non unique addresses"]), (0, 0, 0), name)
            self.assertGreaterEqual(found["received packets"], NEW, name)
        words = (sys.executable, "-m", "pybootd", "leases", "-c", self.pybootd.configuration)
        listed = self.lab.server.run(*words, directory=self.pybootd.directory).stdout.splitlines()
        self.assertGreaterEqual(len({line.split()[0] for line in listed}), NEW)
        self.assertEqual(len({line.split()[1] for line in listed}), len(listed))

    def test_life(self) -> None:
        """Some renew and some go meanwhile; the one thing that is not answered is RELEASE, which has no answer."""
        figures = self.judged("-R", 2**32 - 1, "-f", RENEWED, "-F", RELEASED, status=3)
        for name in ("DISCOVER-OFFER", "REQUEST-ACK", "REQUEST-ACK (renewal)"):
            self.assertEqual((figures[name]["drops"], figures[name]["rejected leases"]), (0, 0), name)
            self.assertGreater(figures[name]["received packets"], 0, name)
        self.assertGreater(figures["RELEASE"]["sent packets"], 0)
