"""C{pybootd replay} against the truth: a recorded boot is answered again as it was answered then."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.e2e.support import trees
from tests.e2e.support.boots import BootTestCase
from tests.e2e.support.capture import Recorder
from tests.e2e.support.clients import Udhcpc
from tests.e2e.support.lab import run
from tests.e2e.support.machines import Firmware

ANSWER = re.compile(r": (OFFER|ACK|NAK)(?: ([0-9.]+))?[,: ]")


class ReplayTests(BootTestCase):
    """Captures of a machine and of a client, on the server's own network."""

    needs = (*Firmware.BIOS.needs, *map(str, trees.NEEDED), "tshark", "editcap", "udhcpc")

    def replay(self, file: Path, *words: str) -> tuple[int, str]:
        """Exit status and what is said, with the daemon's configuration."""
        daemon = self.pybootd
        command = (sys.executable, "-m", "pybootd", "replay", str(file), "-c", str(daemon.configuration), *words)
        done = self.lab.server.run(*command, check=False, directory=daemon.directory)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout

    def test_machine(self) -> None:
        """Every reply of the daemon's to a machine that booted is said again, type and address; and nothing else."""
        self.serve({"bios": trees.pxelinux(self.root, self.token)})
        boot = self.switch_on(Firmware.BIOS)
        self.check(boot)
        then = [(reply.kind, reply.yiaddr) for reply in boot.recorder.dhcp() if reply.source == self.SERVER]
        status, said = self.replay(boot.recorder.stop())
        self.assertEqual(status, 0)
        self.assertEqual([found.groups() for found in ANSWER.finditer(said)], then, said)
        self.assertIn("boot file pxelinux.0   (", said)
        self.assertNotIn("as if", said)
        other = self.pybootd.directory / "other.ini"
        other.write_text(self.pybootd.configuration.read_text().replace("pxelinux.0", "lpxelinux.0"))
        status, said = self.replay(boot.recorder.stop(), "--against", str(other))
        self.assertEqual(status, 1)
        self.assertIn("  + 67 boot_file_name: lpxelinux.0", said)

    def test_client(self) -> None:
        """A system's client; the same as pcapng, as Wireshark's own tool writes it."""
        self.serve({"bios": "pxelinux.0"}, {"bootpd": {"allow_simple_dhcp": True}})
        recorder = Recorder(self.lab.server, "br0", self.lab.scratch / "client.pcap")
        self.addCleanup(recorder.stop)
        client = Udhcpc(self.lab, self.lab.segment.host())
        client.obtain()
        recorded = recorder.stop()
        status, said = self.replay(recorded)
        self.assertEqual(status, 0, said)
        self.assertRegex(said, r"DISCOVER: OFFER 10\.77\.0\.100 ")
        self.assertRegex(said, r"REQUEST \(selecting\): ACK 10\.77\.0\.100 ")
        again = self.lab.scratch / "client.pcapng"
        run("editcap", "-F", "pcapng", recorded, again)
        self.assertEqual(self.replay(again), (0, said))
