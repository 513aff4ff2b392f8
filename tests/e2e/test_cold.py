"""A slow disk that keeps nobody waiting but those who want its files."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.disks import NEEDED, FragileDisk
from tests.e2e.support.lab import until
from tests.e2e.support.program import Program
from tests.e2e.support.servers import Pybootd

TOP = Path(__file__).resolve().parents[2]
READ = 128 << 10
"""Bytes that the kernel asks such a disk for at once, at most."""

READS = 10
DELAY = 0.3
"""Seconds; what a read takes."""

SEEK = 1.0
"""Seconds; what it takes to find a file, several times for each."""

SMALL = 500
OTHERS = "from tests.e2e.support.beside import web\nfor _ in range(20): assert len(web('small')) == 500"

SHARE = 0.6
"""Of all moments, a fifth of a read each: in so many each kind of client has an answer, at least."""


class ColdTests(EndToEndTestCase):
    """Files that are not in memory, on a file system of which the kernel cannot tell what is."""

    needs = NEEDED

    def setUp(self) -> None:
        super().setUp()
        self.hosts = 0
        self.files = {name: os.urandom(READ * READS - 7) for name in ("one", "two")}
        contents = self.lab.directory("contents")
        for name, data in self.files.items():
            (contents / name).write_bytes(data)
        root = self.lab.directory("root")
        (root / "small").write_bytes(bytes(SMALL))
        (root / "disk").mkdir()
        self.disk = FragileDisk(root / "disk", contents)
        self.addCleanup(self.disk.close)
        self.pybootd = Pybootd(
            self.lab.server,
            self.lab.directory("daemon"),
            {
                "bootpd": {"pool_start": "10.77.0.100", "pool_count": 10, "conflict_check": 0},
                "bootfile": {"default": "small"},
                "tftpd": {"root": root},
                "httpd": {"root": root, "check_ip": False},
            },
            "-H",
            ports=[("udp", 67), ("udp", 69), ("tcp", 80)],
        )

    def python(self, *words: str) -> Program:
        """A module of the tests', or some lines, on a host of its own."""
        self.hosts += 1
        host = self.lab.segment.host(f"10.77.0.{10 - self.hosts}/24")
        return host.start(sys.executable, *words, directory=TOP, environment={"PYTHONPATH": str(TOP)})

    def test_others(self) -> None:
        """While two clients wait for a disk, all others are answered; and the two get what they wait for."""
        self.disk.slow(DELAY)
        self.disk.slow_names(SEEK)
        client = self.python("-m", "tests.e2e.support.beside", "eth0", "disk/one", "disk/two", "small", str(SMALL))
        self.assertEqual(client.wait(240), 0, client.output)
        seen = json.loads(client.output)
        for kind, name in (("tftp", "one"), ("http", "two")):
            seconds, came = seen["slow"][kind]
            self.assertEqual(came, hashlib.sha256(self.files[name]).hexdigest(), kind)
            self.assertGreater(seconds, (DELAY * READS + 2 * SEEK) * 0.9, "the disk is not slow")
        for kind, share in seen["shares"].items():
            self.assertGreater(share, SHARE, (kind, seen))
        self.assertNotIn("Traceback", self.pybootd.log)

    def test_hangs(self) -> None:
        """
        A disk that hangs while its file is on its way to a client stops nobody else, though it has to be asked about
        each byte anew; and when it answers again, the client gets the rest.
        """
        self.disk.forgets()
        go = self.lab.scratch / "go"
        client = self.python("-m", "tests.e2e.support.pausing", "disk/two", str(go))
        until(lambda: "begun" in client.output, 60, "the download's begin")
        self.disk.hangs()
        try:
            go.touch()
            until(lambda: "again" in client.output, 60, "the client's going on")
            others = self.python("-c", OTHERS)
            self.assertEqual(others.wait(120), 0, others.output)
            self.assertNotIn("ended", client.output, "the disk does not hang")
        finally:
            self.disk.recovers()
        self.assertEqual(client.wait(120), 0, client.output)
        self.assertIn(f"ended {hashlib.sha256(self.files['two']).hexdigest()}", client.output)
        self.assertNotIn("Traceback", self.pybootd.log)
