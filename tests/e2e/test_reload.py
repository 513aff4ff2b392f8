"""
SIGHUP: a running daemon takes another configuration, at once and as a whole, or keeps the one that it has.

Everything holds for C{pybootd}, and for C{twistd pybootd} as a daemon that went to another directory and gave its
privileges up.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sys
from pathlib import Path

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.clients import Udhcpc
from tests.e2e.support.lab import Namespace, until
from tests.e2e.support.program import Program
from tests.e2e.support.servers import Pybootd, command, ini, ready

SERVER = "10.77.0.1"
PATIENCE = 40
KNOWN, STRANGER = "02-00-00-00-0a-01", "02-00-00-00-0a-02"
PORTS = (("udp", 67), ("udp", 69), ("tcp", 80))
ROOT = Path(__file__).resolve().parents[2]
IN_FORCE, STAYS = r"reload: .*pybootd\.ini is in force", r"the configuration in force stays"

Sections = dict[str, dict[str, object]]

OWN = r"^p_|\b(LISTEN|UNCONN)\s+\d+\s+\d+\s+\S+:(" + "|".join(str(port) for _, port in (*PORTS, ("udp", 4011))) + r")\s"
"""A line of C{ss}: a raw socket, or one at the port of a service."""


class ReloadTestCase(EndToEndTestCase):
    """Two roots with a file of the same name, and a configuration that serves the first."""

    needs = ("udhcpc", "atftp", "curl")

    def setUp(self) -> None:
        """Build them."""
        super().setUp()
        self.directory = self.lab.directory("daemon")
        self.directory.chmod(0o777)
        self.old, self.new = self.lab.directory("old"), self.lab.directory("new")
        for root in (self.old, self.new):
            (root / "file").write_text(root.name)
            (root / "large").write_bytes(hashlib.sha256(root.name.encode()).digest() * 500_000)
        self.clients: dict[str, Udhcpc] = {}

    def configuration(self, root: Path, *machines: str, **bootpd: object) -> Sections:
        """One that serves these machines from this root."""
        pool = {"pool_start": "10.77.0.100", "pool_count": 10, "allow_simple_dhcp": True, "conflict_check": 0}
        return {
            "bootpd": {**pool, "access": "mac", **bootpd},
            "mac": dict.fromkeys(machines, True),
            "bootfile": {"default": "file"},
            "tftpd": {"root": root},
            "httpd": {"check_ip": False},
        }

    def start(self) -> None:
        """In the foreground."""
        self.pybootd = Pybootd(self.lab.server, self.directory, self.configuration(self.old, KNOWN), "-H", ports=PORTS)
        self.pid = self.pybootd.program.pid

    @property
    def log(self) -> str:
        """What the daemon logged."""
        return self.pybootd.log

    def hup(self, configuration: Sections, expected: str) -> str:
        """
        Write another configuration and have it read.

        @return: what was logged about it.
        """
        (self.directory / "pybootd.ini").write_text(ini(configuration))
        before = len(self.log)
        os.kill(self.pid, signal.SIGHUP)
        until(lambda: re.search(expected, self.log[before:]) is not None, PATIENCE, f"the log has {expected}")
        return self.log[before:]

    def client(self, mac: str) -> Udhcpc:
        """The machine with that hardware address."""
        if mac not in self.clients:
            host = self.lab.segment.host(mac=mac.replace("-", ":"))
            self.clients[mac] = Udhcpc(self.lab, host)
        return self.clients[mac]

    def obtains(self, mac: str, tries: int = 12) -> str:
        """The address that a machine gets, when it asks so often; nothing where it is not served."""
        return self.client(mac).obtains(tries)

    def fetched(self) -> tuple[str, str]:
        """What is served by TFTP and by HTTP."""
        host = self.client(KNOWN).host
        url = f"{SERVER}/file"
        return host.run("curl", "-sS", f"tftp://{url}").stdout, host.run("curl", "-sS", f"http://{url}").stdout

    def halting(self, host: Namespace, protocol: str) -> Program:
        """A transfer of the large file that halts in the middle."""
        words = (sys.executable, "-m", "tests.e2e.support.halting", protocol, SERVER, "large")
        program = host.start(*words, directory=ROOT)
        program.expect("^halts", PATIENCE)
        return program

    def sockets(self) -> set[str]:
        """
        The daemon's own sockets, by the kernel's numbers: those that listen at the services' ports, and those for raw
        frames; a port of TFTP's transfers may be kept for the next one, or not.
        """
        rows = self.lab.server.run("ss", "-Hane", "-p", "-A", "udp,tcp,raw,packet").stdout.splitlines()
        mine = [row for row in rows if f"pid={self.pid}," in row and re.search(OWN, row)]
        return {number for row in mine for number in re.findall(r"ino:(\d+)", row)}


class ReloadTests(ReloadTestCase):
    """C{pybootd}."""

    def test_change(self) -> None:
        """Another machine list and another root: the log says what changes for whom, and it holds at once."""
        self.start()
        first = self.obtains(KNOWN)
        self.assertTrue(first)
        self.assertEqual(self.obtains(STRANGER, tries=1), "")
        self.assertEqual(self.fetched(), ("old", "old"))
        before = self.sockets()
        after = self.configuration(self.new, STRANGER, lease_time=3600)
        told = self.hup(after, IN_FORCE)
        for line in (
            f"[mac] {KNOWN.upper()}: yes -> (none)",
            f"[mac] {STRANGER.upper()}: (none) -> yes",
            "[bootpd] lease_time: 86400 -> 3600",
            f"[tftpd] root: {self.old} -> {self.new}",
            f"{KNOWN.replace('-', ':')} is not answered any more: not in [mac]",
            f"{STRANGER.replace('-', ':')} is answered from now on",
        ):
            self.assertIn(line, told)
        self.assertGreaterEqual(len(before), 4)
        self.assertEqual(self.sockets(), before)
        self.assertEqual(self.fetched(), ("new", "new"))
        self.assertEqual(self.obtains(KNOWN, tries=1), "")
        second = self.obtains(STRANGER)
        self.assertTrue(second)
        self.assertNotEqual(first, second)
        # the lease is not forgotten while it is of no use
        self.hup(self.configuration(self.new, KNOWN, STRANGER), IN_FORCE)
        self.assertEqual((self.obtains(KNOWN), self.obtains(STRANGER)), (first, second))
        self.assertNotIn("Traceback", self.log)

    def test_refused(self) -> None:
        """A file with mistakes, one that needs a restart, one whose root is missing: the old one stays in force."""
        self.start()
        self.assertTrue(self.obtains(KNOWN))
        good = self.configuration(self.new, STRANGER)
        rows: tuple[tuple[Sections, tuple[str, ...]], ...] = (
            ({**good, "bootpd": {"acess": "mac", "lease_time": "long"}}, ("acess", "lease_time", "pool_start")),
            ({**good, "httpd": {"port": 8080}}, ("[httpd] port: 80 -> 8080: needs a restart",)),
            ({**good, "tftpd": {"root": "/no/such/directory"}}, ("/no/such/directory",)),
            ({**good, "bootpd": {**good["bootpd"], "pool_start": "192.168.5.1"}}, ("192.168.5.1", "10.77.0.0/24")),
        )
        for configuration, words in rows:
            told = self.hup(configuration, STAYS)
            for word in words:
                self.assertRegex(told, rf"error: reload: .*{re.escape(word)}", told)
            self.assertEqual(self.fetched(), ("old", "old"))
        self.assertEqual(self.obtains(STRANGER, tries=1), "")
        (self.directory / "pybootd.ini").unlink()
        os.kill(self.pid, signal.SIGHUP)
        until(lambda: "no such configuration" in self.log, PATIENCE, "the log tells that the file is gone")
        self.assertTrue(self.obtains(KNOWN))
        self.assertNotIn("Traceback", self.log)

    def test_transfers(self) -> None:
        """Transfers under way end with the file that they began with; the next ones bring the other."""
        self.start()
        self.assertTrue(self.obtains(KNOWN))
        host = self.client(KNOWN).host
        programs = [self.halting(host, protocol) for protocol in ("tftp", "http")]
        self.hup(self.configuration(self.new, KNOWN), IN_FORCE)
        self.assertEqual(self.fetched(), ("new", "new"))
        expected = hashlib.sha256((self.old / "large").read_bytes()).hexdigest()
        for program in programs:
            program.send(b"\n")
            program.expect(rf"^{expected} 16000000$")

    def test_under_load(self) -> None:
        """A hundred reloads while files are asked for: nobody gets an error, nothing is left behind."""
        self.start()
        host = self.lab.segment.host("10.77.0.50/24")
        script = (
            "import http.client, json, time\n"
            "end, seen = time.monotonic() + 4, {}\n"
            "while time.monotonic() < end:\n"
            f"    c = http.client.HTTPConnection('{SERVER}', timeout=10); c.request('GET', '/file')\n"
            "    word = c.getresponse().read().decode(); seen[word] = seen.get(word, 0) + 1; c.close()\n"
            "print(json.dumps(seen))\n"
        )
        asking = host.start(sys.executable, "-c", script)
        file = self.directory / "pybootd.ini"
        one, two = (ini(self.configuration(root, KNOWN)) for root in (self.old, self.new))
        open_files = Path(f"/proc/{self.pid}/fd")
        before = 0
        for count in range(100):
            file.write_text(two if count % 2 else one)
            seen = self.log.count("is in force")
            os.kill(self.pid, signal.SIGHUP)
            until(lambda seen=seen: self.log.count("is in force") > seen, PATIENCE, "the next reload")  # type: ignore
            if count == 10:
                before = len(list(open_files.iterdir()))
        found = json.loads(asking.expect(r"^\{.*\}$")[0])
        self.assertLessEqual(set(found), {"old", "new"})
        until(lambda: len(list(open_files.iterdir())) <= before + 2, 60, "no descriptor is left open")
        self.assertNotIn("Traceback", self.log)

    def test_terminal_closed(self) -> None:
        """Where SIGHUP tells that the terminal is closed, it is the end; nobody could stop it any more."""
        file = self.directory / "pybootd.ini"
        file.write_text(ini(self.configuration(self.old, KNOWN)))
        # exec: a shell between the two would be told in the daemon's place
        words = "exec " + " ".join(command(configuration=file))
        terminal = self.lab.server.start("script", "-qfc", words, "/dev/null", directory=self.directory)
        ready(self.lab.server, terminal, PORTS[:2])
        terminal.expect("TFTP serves", PATIENCE)
        terminal.signal(signal.SIGKILL)
        until(lambda: not any(self.lab.server.listening(*port) for port in PORTS), PATIENCE, "the daemon has ended")


class DaemonTests(ReloadTestCase):
    """C{twistd pybootd}, with C{--uid}, C{--gid} and C{--rundir}, its configuration named from elsewhere."""

    def start(self) -> None:
        """To the background."""
        (self.directory / "pybootd.ini").write_text(ini(self.configuration(self.old, KNOWN)))
        self.rundir = self.lab.directory("rundir")
        self.rundir.chmod(0o777)
        pidfile = self.rundir / "twistd.pid"
        options = (f"--pidfile={pidfile}", f"--rundir={self.rundir}", "--uid=nobody", "--gid=nogroup")
        words = command("-H", configuration=Path("pybootd.ini"), twistd=options)
        self.lab.server.run(*words, timeout=30, directory=self.directory)
        until(lambda: all(self.lab.server.listening(*port) for port in PORTS), 60, "the daemon listens")
        self.pid = int(pidfile.read_text())

    @property
    def log(self) -> str:
        """What the daemon logged."""
        return (self.rundir / "twistd.log").read_text()

    def test_change(self) -> None:
        """It finds its file, turns to it with the privileges that it has left, and keeps its sockets."""
        self.start()
        self.assertTrue(self.obtains(KNOWN))
        before = self.sockets()
        self.hup(self.configuration(self.new, STRANGER), IN_FORCE)
        self.assertEqual(self.fetched(), ("new", "new"))
        self.assertEqual(self.obtains(KNOWN, tries=1), "")
        self.assertTrue(self.obtains(STRANGER))
        self.assertEqual(self.sockets(), before)

    def test_refused(self) -> None:
        """What it may not read any more, or do, is said; it serves on."""
        self.start()
        self.assertTrue(self.obtains(KNOWN))
        (self.directory / "pybootd.ini").chmod(0o600)
        self.hup(self.configuration(self.new, KNOWN), STAYS)
        self.assertIn("Permission denied", self.log)
        (self.directory / "pybootd.ini").chmod(0o644)
        self.hup({**self.configuration(self.new, KNOWN), "leases": {"store": "memory"}}, STAYS)
        self.assertEqual(self.fetched(), ("old", "old"))
        self.hup({**self.configuration(self.new, KNOWN), "logger": {"level": "debug"}}, IN_FORCE)
        self.assertEqual(self.fetched(), ("new", "new"))
        self.assertNotIn("Traceback", self.log)
