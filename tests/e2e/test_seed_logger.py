"""What an existing C{pybootd.ini} is promised: C{[logger]}, words, and where the configuration is found."""

from __future__ import annotations

import re
import signal
import socket
import sys
from subprocess import CompletedProcess

from tests.e2e.support.lab import until
from tests.e2e.support.seed import MAC, ROOT, SeedTestCase
from tests.e2e.support.servers import ready
from tests.support.dhcp import BIOS


class LoggerTests(SeedTestCase):
    """C{[logger]}"""

    def test_levels(self) -> None:
        """C{level}: what is of less weight is not said; C{-d} says everything."""
        for level, flags, said in (("warning", (), False), ("critical", ("-d",), True)):
            self.serve({"logger": {"type": "stdout", "level": level}}, *flags, directory=level)
            self.lease(BIOS)
            self.assertEqual(MAC.hex(":") in self.pybootd.log, said, self.pybootd.log)
            self.pybootd.program.stop()

    def test_none(self) -> None:
        """C{type = none}: nothing at all."""
        self.serve({"logger": {"type": "none"}})
        self.lease(BIOS)
        self.assertEqual(self.pybootd.log, "")

    def test_syslog(self) -> None:
        """C{type = syslog}: with the daemon's name and facility, each level as it is."""
        place = self.lab.scratch / "log"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(str(place))
            sock.settimeout(10)
            self.serve({"logger": {"type": "syslog", "level": "info"}}, mounts={"/dev/log": place})
            self.lease(BIOS)
            while MAC.hex(":") not in (line := sock.recv(4096).decode()):
                pass
            self.assertRegex(line, r"^<30>.*pybootd\[\d+\]: ")

    def test_journald(self) -> None:
        """C{type = journald}: the level before each line, and no time, for the journal has its own."""
        self.serve({"logger": {"type": "journald", "level": "info"}})
        self.lease(BIOS)
        self.pybootd.program.expect(f"^<6>{MAC.hex(':')} ")

    def test_rotated(self) -> None:
        """A log file that was moved away is begun anew on SIGUSR1; no line is lost."""
        self.serve({"logger": {"type": "file", "file": "./boot.log"}})
        log, old = self.pybootd.directory / "boot.log", self.pybootd.directory / "boot.log.1"
        self.lease(BIOS)
        until(lambda: MAC.hex(":") in log.read_text(), 60, "the machine is in the log")
        log.rename(old)
        self.pybootd.program.signal(signal.SIGUSR1)
        until(log.exists, 60, "the log is begun anew")
        self.lease(BIOS)
        until(lambda: MAC.hex(":") in log.read_text(), 60, "the machine is in the new log")

    def test_escaped(self) -> None:
        """What a client says cannot forge a line or change a terminal."""
        self.serve()
        self.tftp("a\n2026-01-01 00:00:00 forged\x1b[2J")
        until(lambda: "forged" in self.pybootd.log, 60, "the name is in the log")
        self.assertNotIn("\x1b", self.pybootd.log)
        self.assertFalse([line for line in self.pybootd.log.splitlines() if line.startswith("2026-01-01 00:00:00")])


class WordTests(SeedTestCase):
    """Words of the file, and the file itself."""

    def test_booleans(self) -> None:
        """The seed's words for yes and no; any other word is a mistake."""
        directory = self.lab.directory("daemon")
        file = directory / "x.ini"
        words = "on high true enable enabled yes 1 off low false disable disabled no 0 YES Off".split()
        for word in (*words, "maybe", ""):
            lines = [f"[bootpd]\npool_start = 10.77.0.100\nallow_simple_dhcp = {word}\n[bootfile]\ndefault = a\n"]
            file.write_text("".join(lines) + "[tftpd]\nroot = ./\n")
            check = [sys.executable, "-m", "pybootd", "check", "-c", str(file)]
            done = self.lab.server.run(*check, check=False, directory=directory)
            self.assertEqual(done.returncode, int(word not in words), (word, done.stderr))

    def test_default_place(self) -> None:
        """Without C{-c}: C{./pybootd.ini}, then C{./pybootd/etc/pybootd.ini}."""
        self.serve()
        self.pybootd.program.stop()
        directory = self.pybootd.directory
        (directory / "pybootd" / "etc").mkdir(parents=True)
        self.pybootd.configuration.rename(directory / "pybootd" / "etc" / "pybootd.ini")
        program = self.lab.server.start(sys.executable, "-P", "-m", "pybootd", directory=directory)
        ready(self.lab.server, program, [("udp", 67), ("udp", 69)])
        self.lease(BIOS)
        program.stop()


class HostTests(SeedTestCase):
    """What is known of this host's networks."""

    def checked(self, pool_start: str, **environment: str) -> CompletedProcess[str]:
        """C{pybootd check} of a small configuration."""
        file = self.lab.scratch / "x.ini"
        text = f"[bootpd]\npool_start = {pool_start}\n[bootfile]\ndefault = a\n[tftpd]\nroot = ./\n"
        file.write_text(text)
        words = [sys.executable, "-m", "pybootd", "check", "-c", str(file)]
        return self.lab.server.run(*words, check=False, directory=self.lab.scratch, environment=environment)

    def test_without_netifaces(self) -> None:
        """Where netifaces cannot be had, C{ip} tells the same."""
        self.lab.segment.host()
        (self.lab.scratch / "netifaces.py").write_text("raise ImportError\n")
        usual = self.checked("10.77.0.100")
        other = self.checked("10.77.0.100", PYTHONPATH=f"{self.lab.scratch}:{ROOT}")
        self.assertEqual((other.returncode, other.stdout), (0, usual.stdout), other.stderr)
        self.assertIn("10.77.0.0/24", other.stdout)

    def test_link_local(self) -> None:
        """A link-local address is no network to serve, and is not proposed."""
        self.lab.server.ip("address", "add", "169.254.7.7/16", "dev", self.lab.segment.bridge)
        done = self.checked("169.254.7.100")
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is 10.77.0.0/24", done.stdout + done.stderr)
        self.assertNotIn("169.254.0.0", done.stdout + done.stderr)


class ConfTests(SeedTestCase):
    """The configurations that come with pybootd."""

    def test_checked(self) -> None:
        """C{pybootd check} finds nothing wrong with any of them, on a host with their network and their directories."""
        segment = self.lab.segment
        self.lab.server.ip("address", "add", "192.168.1.1/24", "dev", segment.bridge)
        self.lab.server.ip("route", "add", "default", "via", "192.168.1.254")
        directory = self.lab.directory("boot")
        files = sorted((ROOT / "conf").glob("*.ini"))
        self.assertGreater(len(files), 6)
        for file in files:
            copy = self.lab.scratch / file.name
            copy.write_text(re.sub(r"(?m)^(root = )/srv/.*$", rf"\1{directory}", file.read_text()))
            words = [sys.executable, "-m", "pybootd", "check", "-c", str(copy)]
            done = self.lab.server.run(*words, check=False, directory=self.lab.scratch)
            self.assertEqual((done.returncode, "error:" in done.stdout), (0, False), done.stdout + done.stderr)
