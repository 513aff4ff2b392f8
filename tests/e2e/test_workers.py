"""Worker processes: what they send arrives, one that dies takes nothing else with it, and none is left behind."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.lab import until
from tests.e2e.support.program import Program
from tests.e2e.support.servers import Pybootd, ini

SERVER = "10.77.0.1"
PORTS = (("udp", 69), ("tcp", 80))
PATIENCE = 60
"""Seconds for what takes one or two where there is nothing else to do."""

SIZES = {"tftp": 3_200_000, "http": 16_000_000}
"""Bytes of the files: more than are handed to workers, and than the sockets of both ends hold."""

ROOT = Path(__file__).resolve().parents[2]

Sections = dict[str, dict[str, object]]


class WorkersTests(EndToEndTestCase):
    """Two workers for each protocol, and a large file for each, C{tftp.img} and C{http.img}."""

    needs = ("curl",)

    def setUp(self) -> None:
        """Serve, and wait for the workers."""
        super().setUp()
        self.root = self.lab.directory("root")
        data = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(500_000))
        self.data = {protocol: data[:size] for protocol, size in SIZES.items()}
        for protocol, content in self.data.items():
            (self.root / f"{protocol}.img").write_bytes(content)
        (self.root / "small").write_bytes(b"small")
        self.pybootd = Pybootd(
            self.lab.server, self.lab.directory("daemon"), self.configuration(2), "-t", "-H", ports=PORTS
        )
        self.addCleanup(self.kill_all)
        self.client = self.lab.segment.host("10.77.0.9/24")
        until(lambda: len(self.workers()) == 4, PATIENCE, "all workers are ready")

    def configuration(self, workers: int) -> Sections:
        """With so many workers for each."""
        return {
            "tftpd": {"root": self.root, "workers": workers},
            "httpd": {"check_ip": False, "workers": workers},
        }

    def workers(self) -> Mapping[str, int]:
        """The latest process of each worker that said to be ready."""
        found = re.findall(r"(\w+: worker \d+) is ready, process (\d+)", self.pybootd.log)
        return {name: int(process) for name, process in found}

    def kill_all(self) -> None:
        """Whatever failed, nothing of this stays."""
        for process in self.workers().values():
            if self.runs(process):
                os.kill(process, signal.SIGKILL)

    def runs(self, process: int) -> bool:
        """Whether this is a worker, and lives."""
        try:
            return b"pybootd.workers" in Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            return False

    def read(self, process: int) -> int:
        """Bytes that a process has read so far, by whatever call."""
        counters = dict(line.split(": ") for line in Path(f"/proc/{process}/io").read_text().splitlines())
        return int(counters["rchar"])

    def fetch(self, protocol: str, name: str = "") -> bytes:
        """A file, as a client that asks just now gets it."""
        got = self.root / f"../got-{protocol}"
        options = ("--tftp-blksize", "1400") if protocol == "tftp" else ()
        self.client.run(
            "curl", "-sS", *options, "-o", got, f"{protocol}://{SERVER}/{name or protocol + '.img'}", timeout=PATIENCE
        )
        return got.read_bytes()

    def halting(self, protocol: str) -> Program:
        """A transfer that halts in the middle; the client has shown that it is there."""
        words = (sys.executable, "-m", "tests.e2e.support.halting", protocol, SERVER, f"{protocol}.img", "1")
        program = self.client.start(*words, directory=ROOT)
        program.expect("^halts", PATIENCE)
        return program

    def goes_on(self, program: Program, protocol: str) -> None:
        """A transfer that halted arrives whole."""
        program.send(b"\n")
        program.expect(f"^{hashlib.sha256(self.data[protocol]).hexdigest()} {SIZES[protocol]}$", PATIENCE)

    def test_transfers(self) -> None:
        """Transfers at once are shared among the workers, arrive to the byte, and are told as ever."""
        for protocol in ("tftp", "http"):
            programs = [self.halting(protocol) for _ in range(2)]
            for program in programs:
                self.goes_on(program, protocol)
            self.assertTrue(self.fetch(protocol) == self.data[protocol])
            self.assertEqual(self.fetch(protocol, "small"), b"small")
        for name, process in self.workers().items():
            self.assertGreater(self.read(process), SIZES[name[:4].lower()] // 2, f"{name} sent nothing")
        for protocol in ("TFTP", "HTTP"):
            until(
                lambda by=protocol: len(re.findall(f"has /?{by.lower()}.img: .* by {by} ", self.pybootd.log)) == 3,
                PATIENCE,
                f"each transfer by {protocol} is logged",
            )
        self.assertNotIn("Traceback", self.pybootd.log)

    def test_death(self) -> None:
        """A worker that is killed fails its own transfers only; who asks again is served, and it is started again."""
        before = self.workers()
        for protocol in ("tftp", "http"):
            name = f"{protocol.upper()}: worker 1"
            lost, other = self.halting(protocol), self.halting(protocol)
            os.kill(before[name], signal.SIGKILL)
            died = f"{name} was ended by signal 9; transfers lost: 1; it is started again in 1 s"
            until(lambda line=died: line in self.pybootd.log, PATIENCE, died)
            self.assertTrue(self.fetch(protocol) == self.data[protocol])
            self.goes_on(other, protocol)
            until(lambda of=name: self.workers()[of] != before[of], PATIENCE, f"another {name}")
            self.assertTrue(self.fetch(protocol) == self.data[protocol])
            lost.stop()
        failures = re.findall("the worker process that sent it died", self.pybootd.log)
        self.assertEqual(len(failures), 2, self.pybootd.log)
        self.assertNotIn("Traceback", self.pybootd.log)

    def test_end(self) -> None:
        """SIGHUP changes their number; none outlives the server, be it stopped or killed."""
        before = set(self.workers().values())
        busy = self.halting("tftp")
        self.pybootd.configuration.write_text(ini(self.configuration(1)))
        os.kill(self.pybootd.program.pid, signal.SIGHUP)
        until(lambda: sum(map(self.runs, before)) == 2, PATIENCE, "two of four workers end")
        self.goes_on(busy, "tftp")
        for process in filter(self.runs, before):
            os.kill(process, signal.SIGTERM)
        self.assertTrue(self.fetch("tftp") == self.data["tftp"])
        os.kill(self.pybootd.program.pid, signal.SIGTERM)
        self.pybootd.program.wait(PATIENCE)
        self.assertEqual([process for process in before if self.runs(process)], [])
        self.assertNotIn("signal", self.pybootd.log)
        self.pybootd.restart()
        until(lambda: len(self.workers()) == 2, PATIENCE, "the workers are ready again")
        last = list(self.workers().values())
        os.kill(self.pybootd.program.pid, signal.SIGKILL)
        until(lambda: not any(map(self.runs, last)), PATIENCE, "they end with the server")
