"""
Hours of honest boots and of attacks at once: the server holds no more at the end than near the beginning.

C{PYBOOTD_SOAK=3600 script/test e2e test_soak} for an hour; without it a short one, whose ceilings are low so that all
of them are reached in its first quarter.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.hostile import LARGE
from tests.e2e.support.lab import Namespace
from tests.e2e.support.load import MACHINES
from tests.e2e.support.program import Program
from tests.e2e.support.servers import Pybootd

TOP = Path(__file__).resolve().parents[2]
SECONDS = float(os.environ.get("PYBOOTD_SOAK", "40"))
GROWTH = 4.0
"""MiB; Python's own allocator breathes by about one."""

CEILINGS = {
    "transfers": 50,
    "connections": 60,
    "waiting_connections": 30,
    "header_time": 3,
    "machines": 200,
    "offers": 100,
    "log_events": 1000,
}


class SoakTests(EndToEndTestCase):
    """One server, one honest host, one attacker."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = self.lab.directory("daemon")
        root = self.lab.directory("root")
        (root / "large").write_bytes(bytes(LARGE))
        self.log = self.directory / "pybootd.log"
        self.pybootd = Pybootd(
            self.lab.server,
            self.directory,
            {
                "logger": {"type": "file", "file": self.log},
                "bootpd": {"pool_start": "10.77.0.100", "pool_count": 60, "conflict_check": 0},
                "static_dhcp": {mac.hex("-"): f"10.77.0.{20 + place}" for place, mac in enumerate(MACHINES)},
                "bootfile": {"default": "large"},
                "tftpd": {"root": root},
                "httpd": {"root": root, "check_ip": False},
                "limits": CEILINGS,
            },
            "-H",
            ports=[("udp", 67), ("udp", 69), ("tcp", 80)],
        )

    def load(self, kind: str, host: Namespace) -> Program:
        """Load from a host, for as long as the test lasts."""
        words = (sys.executable, "-m", "tests.e2e.support.load", kind, "eth0", str(SECONDS))
        return host.start(*words, directory=TOP, environment={"PYTHONPATH": str(TOP)})

    def outcome(self, program: Program) -> dict[str, Any]:
        """What a load says at its end."""
        program.wait(120)
        self.assertEqual(program.returncode, 0, program.output[-3000:])
        outcome: dict[str, Any] = json.loads(program.output)
        return outcome

    def memory(self) -> float:
        """
        MiB that the server holds for itself, swapped out or not.

        Not its private pages: those of Python's own files, some 12 MiB, are that only while nobody else runs Python.
        """
        text = Path(f"/proc/{self.pybootd.program.pid}/smaps_rollup").read_text()
        return (
            sum(int(kilobytes) for kilobytes in re.findall(r"^(?:Anonymous|Swap): +(\d+)", text, re.MULTILINE)) / 1024
        )

    def descriptors(self) -> int:
        """How many descriptors the server has open."""
        return len(list(Path(f"/proc/{self.pybootd.program.pid}/fd").iterdir()))

    def watched(self) -> list[tuple[float, float, int]]:
        """The part of the time that has passed, memory and descriptors, until the time is over."""
        begun, samples = time.monotonic(), []
        while (part := (time.monotonic() - begun) / SECONDS) < 1:
            samples.append((part, self.memory(), self.descriptors()))
            time.sleep(min(1.0, SECONDS / 100))
        return samples

    def test_soak(self) -> None:
        """Every honest boot succeeds; memory and descriptors of the last quarter are those of the first."""
        honest = self.load("honest", self.lab.segment.host("10.77.0.9/24"))
        hostile = self.load("hostile", self.lab.segment.host("10.77.0.66/24"))
        samples = self.watched()
        done, attacks = self.outcome(honest), self.outcome(hostile)
        early = [sample for sample in samples if 0.15 < sample[0] < 0.3]
        late = [sample for sample in samples if sample[0] > 0.85]
        grown = median(memory for _, memory, _ in late) - median(memory for _, memory, _ in early)
        shown = [(round(part, 2), round(memory, 1), files) for part, memory, files in samples[:: len(samples) // 20]]
        self.assertEqual(done["wrong"], [], f"of {done['rounds']} rounds; memory and descriptors: {shown}")
        self.assertGreater(done["rounds"], SECONDS / 20)
        self.assertGreater(attacks["rounds"], 0)
        self.assertLess(grown, GROWTH, shown)
        self.assertLessEqual(max(files for *_, files in late), max(files for *_, files in early) + 10, shown)
        self.assertEqual(self.pybootd.program.stop(), 0)
        for log in self.directory.glob("pybootd.log*"):
            self.assertNotIn("Traceback", log.read_text())
