"""The systemd units: what systemd says of them, and the daemon with the sockets that they open."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.clients import Udhcpc
from tests.e2e.support.lab import run, until
from tests.e2e.support.program import Program
from tests.e2e.support.servers import command, ini

CONF = Path(__file__).resolve().parents[2] / "conf"
SERVER = "10.77.0.1"
EXPOSURE = "2.0"
"""Of 10, by C{systemd-analyze security}: a service without any sandbox has 9.6."""

BARE = ("setpriv", "--bounding-set=-all,+net_raw", "--inh-caps=-all", "--no-new-privs")
"""With what the unit leaves a process: no privilege for any port."""


def setting(name: str, unit: str) -> list[str]:
    """The values of a setting of one of the units."""
    return re.findall(rf"^{name}=(.*)$", (CONF / unit).read_text(), re.MULTILINE)


class UnitTests(EndToEndTestCase):
    """What systemd thinks of the files."""

    needs = ("systemd-analyze",)

    def setUp(self) -> None:
        """Copies of the units whose program exists on this host."""
        super().setUp()
        self.directory = self.lab.directory("units")
        for unit in ("pybootd.service", "pybootd.socket"):
            text = (CONF / unit).read_text().replace("/usr/bin/pybootd", "/bin/true")
            (self.directory / unit).write_text(text)
        self.service = self.directory / "pybootd.service"

    def test_verify(self) -> None:
        """Every setting is one that systemd knows, and the units fit together."""
        done = run("systemd-analyze", "verify", "--man=no", self.service, self.directory / "pybootd.socket")
        mine = [line for line in (done.stdout + done.stderr).splitlines() if "pybootd" in line]
        self.assertEqual(mine, [])

    def test_sandbox(self) -> None:
        """The sandbox is strict."""
        place = f"--threshold={int(float(EXPOSURE) * 10)}"
        done = run("systemd-analyze", "security", "--offline=yes", place, self.service, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("Overall exposure level", done.stdout)


class ActivationTests(EndToEndTestCase):
    """The daemon with the units' sockets and without a privilege for any port."""

    needs = ("systemd-socket-activate", "setpriv", "udhcpc", "atftp", "curl")

    def setUp(self) -> None:
        """A directory and a file."""
        super().setUp()
        self.directory = self.lab.directory("daemon")
        self.root = self.lab.directory("root")
        (self.root / "file").write_text("content")

    def activate(
        self, listens: Sequence[str], flags: Sequence[str], datagrams: bool = False, **bootpd: object
    ) -> Program:
        """The daemon, which systemd's own tool starts with these sockets as soon as somebody calls."""
        configuration = {
            "bootpd": {"pool_start": "10.77.0.100", "allow_simple_dhcp": True, "conflict_check": 0, **bootpd},
            "tftpd": {"root": self.root, **({} if datagrams else {"port": 6969})},
            "httpd": {"root": self.root, "check_ip": False},
        }
        file = self.directory / "pybootd.ini"
        file.write_text(ini(configuration))
        words = ["systemd-socket-activate", *(["--datagram"] if datagrams else [])]
        for listen in listens:
            words += ["-l", listen]
        words += [*BARE, *command(*flags, configuration=file)]
        protocol = "udp" if datagrams else "tcp"
        ports = [int(listen.rpartition(":")[2]) for listen in listens]
        program = self.lab.server.start(*words, directory=self.directory)
        until(lambda: all(self.lab.server.listening(protocol, port) for port in ports), 60, "the sockets are open")
        return program

    def quiet(self, program: Program) -> None:
        """It ends well, and has said nothing alarming."""
        program.signal(15)
        self.assertIn(program.wait(), (0, -15), program.output)
        self.assertNotIn("Traceback", program.output)
        self.assertNotIn("another program", program.output)

    def serves(self, **bootpd: object) -> None:
        """DHCP and TFTP; the first datagram starts the daemon."""
        listens = setting("ListenDatagram", "pybootd.socket")
        program = self.activate(listens, (), datagrams=True, **bootpd)
        host = self.lab.segment.host()
        client = Udhcpc(self.lab, host)
        client.obtain()  # the first of its questions starts the daemon
        self.assertRegex(client.address, r"^10\.77\.0\.1\d\d", program.output)
        target = self.directory / "got"
        got = host.run("atftp", "--get", "-r", "file", "-l", target, SERVER, check=False, timeout=60)
        self.assertEqual(got.returncode, 0, got.stderr + program.output)
        self.assertEqual(target.read_text(), "content")
        self.quiet(program)

    def test_datagrams(self) -> None:
        """Ports 67, 4011 and 69 of the socket unit."""
        self.serves()

    def test_one_address(self) -> None:
        """The same with C{address}: the sockets are what they are, and each is read once."""
        self.serves(address=SERVER)

    def test_http(self) -> None:
        """Port 80 of the socket unit."""
        program = self.activate(setting("ListenStream", "pybootd.socket"), ("-t", "-H"))
        host = self.lab.segment.host("10.77.0.9/24")
        done = host.run("curl", "-s", "--max-time", "60", f"http://{SERVER}/file", check=False)
        self.assertEqual(done.stdout, "content", program.output)
        self.quiet(program)
