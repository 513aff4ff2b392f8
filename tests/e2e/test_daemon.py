"""
The daemon as an administrator meets it: how it starts, what it says when it cannot, how it stops.

Everything holds for C{pybootd} and for C{twistd -n pybootd} alike.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.clients import Udhcpc
from tests.e2e.support.lab import run, until
from tests.e2e.support.program import Program
from tests.e2e.support.servers import TWISTD, Pybootd, command, ini, ready

NOBODY = "65534"
STARTERS: Mapping[str, Sequence[str] | None] = {"pybootd": None, "twistd": ("-n", "--pidfile=")}
PORTS = (("udp", 67), ("udp", 69))
OWN_LINES = re.compile(r"twistd [0-9.]+ .* starting up|reactor class: ")
"""What twistd logs of itself before the services start."""

HOLD = (
    "import socket, time; s = socket.socket(type=socket.SOCK_{}); s.bind(('', {})); "
    "s.listen(1) if {} else None; time.sleep(600)"
)


class DaemonTestCase(EndToEndTestCase):
    """A directory for the daemon, and a root with one file in it."""

    needs = ("udhcpc",)

    def setUp(self) -> None:
        """Make both."""
        super().setUp()
        self.directory = self.lab.directory("daemon")
        self.root = self.lab.directory("root")
        (self.root / "file").write_text("content")

    def configuration(self, **bootpd: object) -> dict[str, dict[str, object]]:
        """A configuration that works; C{bootpd} replaces options of that section."""
        return {
            "bootpd": {"pool_start": "10.77.0.100", "pool_count": 10, "allow_simple_dhcp": True, **bootpd},
            "tftpd": {"root": self.root},
            "httpd": {"root": self.root},
        }

    def start(self, configuration: Mapping[str, Mapping[str, object]], *flags: str, **options: object) -> Pybootd:
        """Start a pybootd."""
        return Pybootd(self.lab.server, self.directory, configuration, *flags, **options)  # type: ignore[arg-type]

    def obtain(self) -> None:
        """A new client gets an address."""
        Udhcpc(self.lab, self.lab.segment.host()).obtain()


class RefusalTests(DaemonTestCase):
    """What cannot work is said in one line, with exit status 1, and nothing is left running."""

    def refused(
        self, name: str, configuration: Mapping[str, Mapping[str, object]], *flags: str
    ) -> subprocess.CompletedProcess[str]:
        """Start it by one of the starters, which must end with status 1 and no traceback."""
        file = self.directory / "pybootd.ini"
        file.write_text(ini(configuration))
        words = command(*flags, configuration=file, twistd=STARTERS[name])
        done = self.lab.server.run(*words, check=False, timeout=30, directory=self.directory)
        self.assertEqual(done.returncode, 1, f"{name}: {done.stdout}{done.stderr}")
        self.assertNotIn("Traceback", done.stdout + done.stderr, name)
        return done

    def refusal(
        self, configuration: Mapping[str, Mapping[str, object]], *expected: str, flags: Sequence[str] = ()
    ) -> None:
        """Both starters say the same single line, and it has all of the expected words."""
        for name in STARTERS:
            done = self.refused(name, configuration, *flags)
            lines = [line for line in done.stderr.splitlines() if not OWN_LINES.search(line)]
            self.assertEqual(len(lines), 1, f"{name}: {done.stderr}")
            for word in expected:
                self.assertIn(word, done.stderr, name)

    def hold(self, kind: str, port: int) -> None:
        """Somebody else takes a port."""
        holder = self.lab.server.start("python3", "-c", HOLD.format(kind, port, kind == "STREAM"))
        ready(self.lab.server, holder, [("tcp" if kind == "STREAM" else "udp", port)])

    def test_dhcp_port_in_use(self) -> None:
        """Another DHCP server has port 67."""
        self.hold("DGRAM", 67)
        self.refusal(self.configuration(), "67")

    def test_tftp_port_in_use(self) -> None:
        """Another TFTP server has port 69."""
        self.hold("DGRAM", 69)
        self.refusal(self.configuration(), "69")

    def test_http_port_in_use(self) -> None:
        """Another web server has port 80."""
        self.hold("STREAM", 80)
        self.refusal(self.configuration(), "80", flags=["-H"])

    def test_no_such_network(self) -> None:
        """C{pool_start} is on no network of this host: the line says which ones there are."""
        self.refusal(self.configuration(pool_start="192.168.5.10"), "192.168.5.10", "10.77.0.0/24", "br0")

    def test_no_such_interface(self) -> None:
        """C{interface} names none of this host's."""
        self.refusal(self.configuration(interface="eth7"), "eth7")

    def test_no_such_root(self) -> None:
        """The directory of the boot files is not there."""
        configuration = {**self.configuration(), "tftpd": {"root": "/no/such/directory"}}
        self.refusal(configuration, "/no/such/directory")

    def test_no_such_address(self) -> None:
        """C{address} is not one of this host's."""
        self.refusal(self.configuration(address="10.77.0.200"), "10.77.0.200")

    def test_lease_directory_missing(self) -> None:
        """The leases cannot be kept where the configuration says."""
        configuration = {**self.configuration(), "leases": {"store": "sqlite:/no/such/directory/leases"}}
        self.refusal(configuration, "/no/such/directory")

    def test_leases_in_use(self) -> None:
        """Another pybootd, on other ports, has this lease file."""
        self.start(self.configuration())
        second = {**self.configuration(port=1067), "tftpd": {"root": self.root, "port": 1069}}
        self.refusal(second, "pybootd.leases")

    def test_mistakes(self) -> None:
        """Every mistake of a configuration is told at once, each in a line with its place."""
        configuration = self.configuration(pool_start="192.168.300.1", acess="mac", lease_time="long")
        for name in STARTERS:
            lines = self.refused(name, configuration).stderr.splitlines()
            self.assertEqual(len(lines), 3, lines)
            for line in lines:
                self.assertRegex(line, r"pybootd\.ini:\d+: \[bootpd\] ", name)
            self.assertIn("access", "".join(lines))

    def test_no_configuration(self) -> None:
        """The file is not there."""
        for name, twistd in STARTERS.items():
            words = command(configuration=self.directory / "none.ini", twistd=twistd)
            done = self.lab.server.run(*words, check=False, timeout=30, directory=self.directory)
            self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1), f"{name}: {done.stderr}")
            self.assertIn("none.ini", done.stderr, name)

    def test_not_root(self) -> None:
        """Without the privilege for its ports it says what is missing."""
        self.lab.scratch.chmod(0o777)
        self.directory.chmod(0o777)
        file = self.directory / "pybootd.ini"
        file.write_text(ini(self.configuration()))
        for name, twistd in STARTERS.items():
            words = command(configuration=file, twistd=twistd)
            # root without a single capability: another user may not even be able to read this Python
            bare = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
            done = self.lab.server.run(*bare, *words, check=False, timeout=30, directory=self.directory)
            self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1), f"{name}: {done.stderr}")
            self.assertIn("67", done.stderr, name)


class UsageTests(DaemonTestCase):
    """The command line."""

    def run_pybootd(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The console script."""
        file = self.directory / "pybootd.ini"
        file.write_text(ini(self.configuration()))
        return self.lab.server.run(*command(*words, configuration=file), check=False, timeout=30)

    def test_exclusive_flags(self) -> None:
        """C{-p -t} together is a usage error: status 2, and what is wrong with it."""
        done = self.run_pybootd("-p", "-t")
        self.assertEqual(done.returncode, 2)
        self.assertIn("-p", done.stderr)

    def test_unknown_flag(self) -> None:
        """So is a flag that does not exist."""
        self.assertEqual(self.run_pybootd("--nonsense").returncode, 2)

    def test_help(self) -> None:
        """C{--help} and C{-h} tell the flags and end with status 0."""
        for flag in ("--help", "-h"):
            done = self.run_pybootd(flag)
            self.assertEqual(done.returncode, 0, done.stderr)
            for word in ("--config", "--pxe", "--tftp", "--http", "--debug"):
                self.assertIn(word, done.stdout, flag)

    def test_twistd_help(self) -> None:
        """twistd lists pybootd among its plugins."""
        self.assertRegex(run(TWISTD, "--help").stdout, r"(?m)^\s+pybootd\s+\S")


class LifeTests(DaemonTestCase):
    """Start, service, stop."""

    def stopped(self, program: Program, number: signal.Signals) -> None:
        """It ends at once and well when it is told to, and has said nothing alarming."""
        program.signal(number)
        # twistd ends by the signal that ended it, as a shell expects of a program
        self.assertIn(program.wait(), (0, -number), program.output)
        self.assertNotIn("Traceback", program.output)
        self.assertNotIn("rror", program.output)
        self.assertFalse(any(self.lab.server.listening(*port) for port in PORTS))

    def test_foreground(self) -> None:
        """C{pybootd} serves in the foreground; SIGTERM and SIGINT stop it cleanly, with its leases on record."""
        for number in (signal.SIGTERM, signal.SIGINT):
            pybootd = self.start(self.configuration())
            self.obtain()
            self.stopped(pybootd.program, number)
            self.assertTrue((self.directory / "pybootd.leases").exists())

    def test_twistd_foreground(self) -> None:
        """So does C{twistd -n pybootd}."""
        pybootd = self.start(self.configuration(), twistd=("-n", "--pidfile="))
        self.obtain()
        self.stopped(pybootd.program, signal.SIGTERM)

    def test_daemon(self) -> None:
        """C{twistd pybootd} goes to the background, writes its pid, and takes the pid file away when it stops."""
        file = self.directory / "pybootd.ini"
        file.write_text(ini(self.configuration()))
        pidfile = self.directory / "twistd.pid"
        words = command(configuration=file, twistd=(f"--pidfile={pidfile}", f"--rundir={self.directory}"))
        self.lab.server.run(*words, timeout=30)
        until(lambda: all(self.lab.server.listening(*port) for port in PORTS), 60, "the daemon listens")
        self.obtain()
        pid = pidfile.read_text().strip()
        self.lab.server.run("kill", pid)
        until(lambda: not Path("/proc", pid).exists(), 60, "the daemon has ended")
        self.assertFalse(pidfile.exists())
        self.assertTrue((self.directory / "pybootd.leases").exists(), "leases are kept below the daemon's directory")

    def test_daemon_refuses(self) -> None:
        """A daemon that cannot start says so before it goes to the background."""
        self.start(self.configuration())
        file = self.lab.directory("second") / "pybootd.ini"
        file.write_text(ini(self.configuration()))
        words = command(configuration=file, twistd=(f"--pidfile={file.parent}/pid", f"--rundir={file.parent}"))
        done = self.lab.server.run(*words, check=False, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn("67", done.stderr)

    def test_privileges(self) -> None:
        """C{twistd --uid --gid} binds the ports first and serves as nobody, for clients that have no address too."""
        self.directory.chmod(0o777)
        options = ("-n", "--pidfile=", "--uid", "nobody", "--gid", "nogroup")
        pybootd = self.start(self.configuration(), "-H", twistd=options, ports=(*PORTS, ("tcp", 80)))
        status = Path(f"/proc/{pybootd.program.pid}/status").read_text()
        identity = {line.split()[0]: line.split()[1:] for line in status.splitlines() if line[:4] in ("Uid:", "Gid:")}
        self.assertEqual(identity, {"Uid:": [NOBODY] * 4, "Gid:": [NOBODY] * 4})
        self.obtain()
        answer = self.lab.server.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://10.77.0.1/file")
        self.assertIn(answer.stdout, ("200", "401"))
        self.stopped(pybootd.program, signal.SIGTERM)

    def test_single_services(self) -> None:
        """C{-p} serves DHCP alone, C{-t} TFTP alone; C{-H} adds HTTP to either."""
        every = (*PORTS, ("tcp", 80))
        for flags, ports in ((("-p",), every[:1]), (("-t",), every[1:2]), (("-t", "-H"), every[1:]), (("-H",), every)):
            pybootd = self.start(self.configuration(), *flags, ports=ports)
            listening = tuple(port for port in every if self.lab.server.listening(*port))
            self.assertEqual(listening, ports, flags)
            self.assertEqual(pybootd.program.stop(), 0)

    def test_log_file(self) -> None:
        """A log file that is moved away is begun anew on SIGUSR1."""
        log = self.directory / "pybootd.log"
        configuration = {**self.configuration(), "logger": {"type": "file", "file": log}}
        starts: Sequence[Callable[[], Pybootd]] = (
            lambda: self.start(configuration),
            lambda: self.start(configuration, twistd=("-n", "--pidfile=")),
        )
        for start in starts:
            pybootd = start()
            self.obtain()
            log.rename(self.directory / "old.log")
            pybootd.program.signal(signal.SIGUSR1)
            until(log.exists, 60, "the log file is there again")
            self.obtain()
            until(lambda: "10.77.0." in log.read_text(), 60, "the log has lines again")
            self.assertIn(pybootd.program.stop(), (0, -signal.SIGTERM))
            log.unlink()
