"""C{pybootd watch} beside a running daemon: as lines, and in a terminal."""

from __future__ import annotations

import sys

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.clients import Udhcpc
from tests.e2e.support.servers import Pybootd

MAC = "52:54:00:12:34:07"
PORTS = (("udp", 67), ("udp", 69), ("tcp", 8067))


class WatchTests(EndToEndTestCase):
    """A daemon with a status site, and one client."""

    needs = ("udhcpc", "script", "atftp")

    def setUp(self) -> None:
        """Start the daemon."""
        super().setUp()
        root = self.lab.directory("root")
        (root / "vmlinuz").write_bytes(bytes(300_000))
        self.configuration = {
            "bootpd": {"pool_start": "10.77.0.100", "allow_simple_dhcp": True},
            "tftpd": {"root": root},
            "status": {"enable": True, "token": "wonderful"},
        }
        self.directory = self.lab.directory("daemon")
        self.pybootd = Pybootd(self.lab.server, self.directory, self.configuration, ports=PORTS)
        self.client = Udhcpc(self.lab, self.lab.segment.host(mac=MAC))

    def command(self) -> list[str]:
        """The command line of the watcher."""
        return [sys.executable, "-m", "pybootd", "watch", "-c", str(self.pybootd.configuration)]

    def boot(self) -> None:
        """The client gets an address, and a kernel."""
        self.client.obtain()
        self.client.host.run("atftp", "-g", "-r", "vmlinuz", "-l", "/dev/null", "10.77.0.1", directory=self.lab.scratch)

    def test_lines(self) -> None:
        """Each step in a line; the server may be restarted meanwhile; SIGTERM ends it with status 0."""
        watcher = self.lab.server.start(*self.command(), directory=self.directory)
        self.boot()
        watcher.expect(rf"^\d\d:\d\d:\d\d  {MAC}  asks, operating system, on br0")
        watcher.expect(rf"{MAC}  has vmlinuz: 300 kB by TFTP")
        self.pybootd.restart()
        watcher.expect("pybootd: .*trying again")
        self.boot()
        watcher.expect(rf"{MAC}  has vmlinuz: 300 kB by TFTP")
        self.assertEqual(watcher.stop(), 0, watcher.output)

    def test_terminal(self) -> None:
        """In a terminal a row for each machine; Ctrl-C ends it."""
        # exec: a shell that waited would take the Ctrl-C for itself, too
        words = ("script", "-qefc", "exec " + " ".join(self.command()), "/dev/null")
        watcher = self.lab.server.start(*words, directory=self.directory, environment={"COLUMNS": "150", "LINES": "24"})
        self.boot()
        watcher.expect(f"1 machine: 1 (booting|running)\n{MAC} .* 10.77.0.100 .*vmlinuz 300 kB")
        watcher.expect("Ctrl-C ends")
        watcher.send(b"\x03")
        self.assertEqual(watcher.wait(), 0, watcher.output)

    def test_no_site(self) -> None:
        """Without a status site, or without the server, it says so, with status 1."""
        self.pybootd.program.stop()
        site = "http://127.0.0.1:8067"
        done = self.lab.server.run(*self.command(), check=False, directory=self.directory)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(
            done.stderr, f"{site}: Connection refused; does pybootd run there, with enable = yes in [status]?\n"
        )
