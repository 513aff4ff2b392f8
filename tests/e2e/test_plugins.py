"""The plugins of C{docs/plugins.rst}, installed as a package of their own, at work in a daemon."""

from __future__ import annotations

import sys
from pathlib import Path
from zipfile import ZipFile

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.clients import Udhcpc
from tests.e2e.support.lab import run, until
from tests.e2e.support.servers import ready
from tests.support import examples

ROOT = Path(__file__).parents[2]
PORTS = (("udp", 67), ("udp", 69))


class PluginTests(EndToEndTestCase):
    """A package that somebody else might have written."""

    needs = ("udhcpc", "curl")

    def setUp(self) -> None:
        """Install it, and write the page's configuration down, for this network."""
        super().setUp()
        source = self.lab.directory("source")
        examples.write(source)
        (source / "setup.py").write_text("from setuptools import setup\nsetup()\n")
        self.installed = self.lab.scratch / "installed"
        run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", self.installed, source, timeout=300)
        self.directory = self.lab.directory("daemon")
        with ZipFile(self.directory / "boot.zip", "w") as archive:
            archive.writestr("pxelinux.0", b"loader")
            archive.writestr("menus/node-7.ipxe", b"menu of node-7")
        (self.directory / "menus").mkdir()
        (self.directory / "menus/node-7.ipxe").write_text("menu of node-7")
        text = examples.configuration()
        for old, new in (
            ("192.168.1.100", "10.77.0.100\nallow_simple_dhcp = yes\nconflict_check = 0"),
            ("from = 8\nuntil = 18", "from = 0\nuntil = 24"),
            ("zip:///srv/boot.zip", f"zip://{self.directory}/boot.zip"),
        ):
            self.assertIn(old, text)
            text = text.replace(old, new)
        self.file = self.directory / "pybootd.ini"
        self.file.write_text(text)

    def pybootd(self, *words: str) -> list[str]:
        """The command line, with the package in reach."""
        reach = f"PYTHONPATH={self.installed}:{ROOT}"
        return ["env", reach, sys.executable, "-m", "pybootd", *words, "-c", str(self.file)]

    def test_at_work(self) -> None:
        """Each of the five does its part in one boot, and all is there again after a restart."""
        client = Udhcpc(self.lab, self.lab.segment.host(mac="52:54:00:00:00:01"))
        for _ in range(2):
            program = self.lab.server.start(*self.pybootd(), directory=self.directory)
            ready(self.lab.server, program, PORTS)
            client.obtain("-x", "hostname:node-7", "-V", "PXEClient:Arch:00000:UNDI:002001")
            self.assertEqual(client.address, "10.77.0.100", program.output)
            for name, content in (("pxelinux.0", "loader"), ("menu.ipxe", "menu of node-7")):
                done = client.host.run("curl", "-s", f"tftp://10.77.0.1/{name}")
                self.assertEqual(done.stdout, content, f"{name}\n{program.output}")
            self.assertEqual(program.stop(), 0, program.output)
            self.assertNotIn("Traceback", program.output)
        self.assertIn(str(0x0A4D0064), (self.directory / "leases.journal").read_text())
        diary = (self.directory / "boots.csv").read_text().splitlines()
        self.assertEqual([line.split(",")[1:] for line in diary], [["52:54:00:00:00:01", "10.77.0.100"]] * 2)

    def test_refuses(self) -> None:
        """The access backend's refusal is in the log, with its reason and its line."""
        self.file.write_text(self.file.read_text().replace("until = 24", "until = 0"))
        program = self.lab.server.start(*self.pybootd(), directory=self.directory)
        ready(self.lab.server, program, PORTS)
        client = Udhcpc(self.lab, self.lab.segment.host())
        self.assertIn("no lease, failing", client.in_vain())
        until(lambda: "served from 0 to 0 o'clock only" in program.output, 60, "the reason is logged")
        self.assertRegex(program.output, r"pybootd\.ini:\d+: \[hours\] until")

    def test_check(self) -> None:
        """C{pybootd check} knows the plugins' words and sections; without the package they are mistakes."""
        done = self.lab.server.run(*self.pybootd("check"), check=False, directory=self.directory)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        bare = [word for word in self.pybootd("check") if "PYTHONPATH" not in word]
        done = self.lab.server.run(*bare, check=False, directory=ROOT)
        self.assertEqual(done.returncode, 1)
        for word in ("hours", "journal", "menus", "zip", "diary"):
            self.assertIn(word, done.stderr)

    def test_options(self) -> None:
        """What a plugin cannot use is said in one line, and nothing starts."""
        self.file.write_text(self.file.read_text().replace("from = 0", "from = early"))
        done = self.lab.server.run(*self.pybootd(), check=False, directory=self.directory)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1), done.stderr)
        self.assertIn("hours", done.stderr)
