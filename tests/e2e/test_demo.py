"""C{pybootd demo}: a machine boots, and nothing is left of it."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path

from tests.e2e.support import payload
from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.lab import run, until
from tests.e2e.support.machines import Firmware
from tests.e2e.support.program import Program

SOON = 300
"""Seconds from the command until the machine is up: several times what it takes on two idle cores."""


class DemoTests(EndToEndTestCase):
    """The command, as a person types it."""

    needs = (
        *Firmware.BIOS.needs,
        *Firmware.UEFI.needs,
        "unshare",
        "busybox",
        "curl",
        "/usr/lib/ipxe/qemu/pxe-virtio.rom",
    )

    def start(self, *options: str) -> Program:
        """Start it with a kernel from Debian's package: this host may have none of its own."""
        self.scratch = self.lab.directory("temporary")
        system = payload.kernel().parents[1]
        command = [sys.executable, "-m", "pybootd", "demo", "--system", str(system), *options]
        program = Program("demo", command, environment={"TMPDIR": str(self.scratch)})
        self.addCleanup(program.stop)
        return program

    def running(self) -> list[str]:
        """The programs that were started for it, or work in its directory."""
        mark = str(self.scratch / "pybootd-demo-")
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                said = (path / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
                if mark in said or str((path / "cwd").readlink()).startswith(mark):
                    found.append(said)
            except OSError:
                continue  # it has just ended
        return found

    def test_bios(self) -> None:
        """The machine boots, line by line, and then everything is gone."""
        demo = self.start()
        address = demo.expect(r"^Dashboard: (http://127\.0\.0\.1:\d+/)$", SOON)[1]
        demo.expect("offered 10.77.0.100, boot file boot.ipxe", SOON)
        machines = json.loads(run("curl", "-sS", f"{address}api/machines").stdout)
        self.assertIn("52:54:00:de:70:01", json.dumps(machines))
        demo.expect(r"The machine is up: \w{8}$", SOON)
        demo.expect(r"The machine booted in [\d.]+ s\.")
        self.assertEqual(demo.wait(), 0)
        for line in (
            r"machine  SeaBIOS",
            r"server   52:54:00:de:70:01 leased 10\.77\.0\.100 for 1 day, boot file boot\.ipxe",
            r"server   52:54:00:de:70:01 has boot\.ipxe: \d+ bytes by TFTP",
            r"server   52:54:00:de:70:01 has /initrd\.gz: .* by HTTP",
            r"machine  Its address is 10\.77\.0\.100/24\.",
        ):
            self.assertRegex(demo.output, re.compile(line, re.MULTILINE))
        self.assertNotIn("Traceback", demo.output)
        self.assertEqual((self.running(), list(self.scratch.iterdir())), ([], []))

    def test_uefi(self) -> None:
        """With UEFI iPXE comes first, by TFTP; what follows is the same."""
        demo = self.start("--firmware", "uefi")
        demo.expect(r"52:54:00:de:70:01 has snponly\.efi: .* by TFTP", SOON)
        demo.expect(r"The machine is up: \w{8}$", SOON)
        self.assertEqual(demo.wait(), 0)

    def test_interrupted(self) -> None:
        """Ctrl-C in the middle of a boot: everything is gone, too."""
        demo = self.start()
        demo.expect("52:54:00:de:70:01 DISCOVER", SOON)
        demo.signal(signal.SIGINT)
        self.assertEqual(demo.wait(), 1)
        self.assertNotIn("Traceback", demo.output)
        self.assertEqual((self.running(), list(self.scratch.iterdir())), ([], []))

    def test_killed(self) -> None:
        """Killed without warning: every program of it ends all the same."""
        demo = self.start()
        demo.expect("machine  SeaBIOS", SOON)
        self.assertGreater(len(self.running()), 2)
        demo.signal(signal.SIGKILL)
        demo.wait()
        until(lambda: not self.running(), 60, "no program is left")
