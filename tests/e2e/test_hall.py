"""A hall of machines that is switched on: hundreds of downloads begin at once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path
from statistics import median
from typing import Any

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.lab import until
from tests.e2e.support.program import Program
from tests.e2e.support.servers import Pybootd

TOP = Path(__file__).resolve().parents[2]
CLIENTS = 256
"""By TFTP, and as many by HTTP."""

SIZES = {"tftp": 600_000, "http": 3_000_000}
GROWTH = 16.0
"""MiB that the daemon may take in addition, for all of them."""

LAST = 4
"""How many times as long as half of the clients the last may take; then C{GRACE} seconds: TCP repeats after 1, 3, 7."""

GRACE = 8.0


class HallTests(EndToEndTestCase):
    """One daemon, a host with TFTP clients, one with HTTP clients."""

    def setUp(self) -> None:
        super().setUp()
        root = self.lab.directory("root")
        self.hashes = {}
        for kind, size in SIZES.items():
            data = os.urandom(size)
            (root / kind).write_bytes(data)
            self.hashes[kind] = hashlib.sha256(data).hexdigest()
        self.pybootd = Pybootd(
            self.lab.server,
            self.lab.directory("daemon"),
            {"tftpd": {"root": root}, "httpd": {"root": root, "check_ip": False}},
            *("-t", "-H"),
            ports=[("udp", 69), ("tcp", 80)],
        )

    def load(self, kind: str, address: str) -> Program:
        """Clients that are ready to begin."""
        words = (sys.executable, "-m", "tests.e2e.support.hall", kind, str(CLIENTS), kind)
        host = self.lab.segment.host(address)
        program = host.start(*words, directory=TOP, environment={"PYTHONPATH": str(TOP)})
        program.expect("ready")
        return program

    def memory(self) -> float:
        """MiB that the daemon holds for itself."""
        text = Path(f"/proc/{self.pybootd.program.pid}/smaps_rollup").read_text()
        return sum(int(kilobytes) for kilobytes in re.findall(r"Private_\w+: +(\d+)", text)) / 1024

    def test_hall(self) -> None:
        """All of them get their file, to the byte, none long after the others, and the daemon takes little memory."""
        loads = {"tftp": self.load("tftp", "10.77.0.50/24"), "http": self.load("http", "10.77.0.60/24")}
        samples = [self.memory()]
        for program in loads.values():
            program.send(b"\n")

        def over() -> bool:
            samples.append(self.memory())
            return all(program.returncode is not None for program in loads.values())

        until(over, 180, "all downloads are done")
        for kind, program in loads.items():
            self.assertEqual(program.wait(), 0, program.output)
            seen: dict[str, Any] = json.loads(program.output.splitlines()[-1])
            self.assertEqual(len(seen["took"]), CLIENTS, kind)
            self.assertEqual(seen["hashes"], [self.hashes[kind]], kind)
            half, last = median(seen["took"]), max(seen["took"])
            self.assertLess(last, LAST * half + GRACE, (kind, half, seen["again"]))
        self.assertLess(max(samples) - samples[0], GROWTH, samples)
        self.assertEqual(self.pybootd.program.stop(), 0)
        self.assertNotIn("Traceback", self.pybootd.log)
