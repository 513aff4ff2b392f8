"""
What a host does to its daemon: interfaces and addresses that go and come, a clock that is set by years, descriptors
that run out, disks that are full or read-only, a web server behind it that dies.

Each ends with a server that works and has lost nothing, or with a clear refusal.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.clients import Udhcpc
from tests.e2e.support.lab import Namespace, until
from tests.e2e.support.program import Program
from tests.e2e.support.servers import Pybootd, command, nginx

SERVER = "10.77.0.1"
PATIENCE = 60
PORTS = (("udp", 67), ("udp", 69))
ROOT = Path(__file__).resolve().parents[2]
YEARS = 5 * 365
"""Days by which the clock is set."""

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"

LOST_BLOCK = """
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(20)
sock.sendto(b"\\0\\1file\\0octet\\0", ("10.77.0.1", 69))
first, source = sock.recvfrom(2000)
again, _ = sock.recvfrom(2000)  # nothing was said to the first: it has to come once more
sock.sendto(b"\\0\\4\\0\\1", source)
print(first == again and first[4:].decode())
"""
"""A client that does not answer until it is asked again."""

CROWD = """
import json, select, socket, sys, time
count, name = int(sys.argv[1]), sys.argv[2].encode()
socks = []
for _ in range(count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setblocking(False); socks.append(s)
    s.sendto(b"\\0\\1" + name + b"\\0octet\\0", ("10.77.0.1", 69))
data, errors, state = 0, [], {s: [0, None] for s in socks}
left, deadline = set(socks), time.monotonic() + 3
while left and time.monotonic() < deadline:
    for s in select.select(list(left), [], [], 0.2)[0]:
        packet, source = s.recvfrom(2000)
        if packet[:2] == b"\\0\\5":
            errors.append(packet[4:-1].decode())
        else:
            state[s] = [packet, source]
        left.discard(s)
begun = [s for s in socks if state[s][1]]
print(json.dumps({"begun": len(begun), "errors": errors, "silent": len(left)}), flush=True)
sys.stdin.readline()
whole = 0
for s in begun:
    s.setblocking(True); s.settimeout(15)
    packet, source = state[s]
    wanted, size = 1, 0
    while True:
        number = int.from_bytes(packet[2:4], "big")
        if packet[:2] == b"\\0\\3" and number == wanted:
            size += len(packet) - 4
            wanted += 1
        if packet[:2] == b"\\0\\3":
            s.sendto(b"\\0\\4" + packet[2:4], source)
            if number == wanted - 1 and len(packet) < 516:
                whole += size == int(sys.argv[3])
                break
        packet, source = s.recvfrom(2000)
print(json.dumps({"whole": whole}), flush=True)
"""
"""Many TFTP clients at once: each takes its first block and waits; then those that have one go on to the end."""


class FaultTestCase(EndToEndTestCase):
    """A daemon for a network, with one small file and one large one."""

    needs = ("udhcpc", "atftp", "curl")

    def setUp(self) -> None:
        """Build it."""
        super().setUp()
        self.directory, self.root = self.lab.directory("daemon"), self.lab.directory("root")
        (self.root / "file").write_text("content")
        self.large = hashlib.sha256(b"large").digest() * 30_000
        (self.root / "large").write_bytes(self.large)
        self.clients: dict[int, Udhcpc] = {}

    def configuration(self, **bootpd: object) -> dict[str, dict[str, object]]:
        """A configuration; C{bootpd} is further options of that section."""
        pool = {"pool_start": "10.77.0.100", "pool_count": 10, "allow_simple_dhcp": True, "conflict_check": 0}
        return {
            "bootpd": {**pool, **bootpd},
            "bootfile": {"default": "file"},
            "tftpd": {"root": self.root, "timeout": 0.5},
            "httpd": {"check_ip": False},
        }

    def serve(self, *flags: str, under: Sequence[str | Path] = (), **bootpd: object) -> None:
        """Start the daemon."""
        self.pybootd = Pybootd(self.lab.server, self.directory, self.configuration(**bootpd), *flags, under=under)

    def client(self, number: int) -> Udhcpc:
        """One of several machines."""
        if number not in self.clients:
            self.clients[number] = Udhcpc(self.lab, self.lab.segment.host(mac=f"02:00:00:00:0b:{number:02x}"))
        return self.clients[number]

    def obtains(self, number: int, tries: int = 12) -> str:
        """The address that a machine gets, when it asks so often; nothing where it gets none."""
        return self.client(number).obtains(tries)

    def host(self) -> Namespace:
        """A host with a fixed address, for TFTP and HTTP."""
        return self.lab.segment.host("10.77.0.50/24")

    def fetched(self, host: Namespace, server: str = SERVER) -> str:
        """What comes by TFTP."""
        return host.run("curl", "-sS", "-m", "30", f"tftp://{server}/file", timeout=PATIENCE, check=False).stdout

    def halting(self, host: Namespace) -> Program:
        """A TFTP transfer of the large file that halts in the middle."""
        program = host.start(sys.executable, "-m", "tests.e2e.support.halting", "tftp", SERVER, "large", directory=ROOT)
        program.expect("^halts", PATIENCE)
        return program

    def goes_on(self, program: Program) -> None:
        """The transfer goes on to its end."""
        program.send(b"\n")
        program.expect(rf"^{hashlib.sha256(self.large).hexdigest()} {len(self.large)}$")

    def says(self, pattern: str, count: int = 1) -> None:
        """Wait until the log has it so often."""
        until(lambda: len(re.findall(pattern, self.pybootd.log)) >= count, PATIENCE, f"the log has {pattern}")

    def descriptors(self) -> int:
        """How many are open."""
        return len(list(Path(f"/proc/{self.pybootd.program.pid}/fd").iterdir()))

    def well(self) -> None:
        """The daemon has not fallen over anything."""
        self.assertNotIn("Traceback", self.pybootd.log)
        self.assertIsNone(self.pybootd.program.returncode)


class NetworkTests(FaultTestCase):
    """Interfaces and addresses."""

    def test_down_and_up(self) -> None:
        """An interface that goes down and comes up: transfers go on, machines get their addresses."""
        self.serve(conflict_check=0.1)
        first = self.obtains(1)
        host = self.host()
        transfer = self.halting(host)
        ip = self.lab.server.ip
        ip("link", "set", "br0", "down")
        self.assertEqual(self.obtains(2, tries=1), "")
        ip("link", "set", "br0", "up")
        self.goes_on(transfer)
        self.assertEqual(self.obtains(1), first)
        self.assertTrue(self.obtains(2))
        self.well()

    def test_away_and_back(self) -> None:
        """An interface that is taken away and made anew has another number: it is served again all the same."""
        self.serve(conflict_check=0.1)
        first = self.obtains(1)
        ip = self.lab.server.ip
        ports = re.findall(r"^\d+: (br0h\d+|br0a)@", ip("-o", "link", "show", "master", "br0"), re.MULTILINE)
        ip("link", "del", "br0")
        self.says(r"error: the interfaces changed: .*pool_start = 10\.77\.0\.100: on no network")
        mac = self.lab.segment.mac  # else it has another address with every new port
        ip("link", "add", "br0", "address", mac, "type", "bridge", "forward_delay", "0", "stp_state", "0")
        for port in ports:
            ip("link", "set", port, "master", "br0")
        ip("link", "set", "br0", "up")
        ip("addr", "add", "10.77.0.1/24", "brd", "+", "dev", "br0")
        self.says("the interfaces changed\n.*serving 10.77.0.0")
        self.assertEqual(self.obtains(1), first)
        self.assertTrue(self.obtains(2))
        self.assertEqual(self.fetched(self.client(1).host), "content")
        self.well()

    def test_another_address(self) -> None:
        """Where the server's own address changes, machines are told the new one, and reach it."""
        self.serve()
        self.assertTrue(self.obtains(1))
        self.assertEqual(self.client(1).told[-1]["serverid"], SERVER)
        self.lab.server.ip("addr", "add", "10.77.0.3/24", "brd", "+", "dev", "br0")
        self.lab.server.ip("addr", "del", "10.77.0.1/24", "dev", "br0")
        self.lab.server.ip("addr", "replace", "10.77.0.3/24", "brd", "+", "dev", "br0")
        self.says("serving 10.77.0.0 to 10.77.0.255: .*, as 10.77.0.3")
        self.assertTrue(self.obtains(1))
        self.assertEqual(self.client(1).told[-1]["serverid"], "10.77.0.3")
        self.assertEqual(self.fetched(self.client(1).host, "10.77.0.3"), "content")
        self.well()


class ClockTests(FaultTestCase):
    """A clock that is set while machines are served; only the daemon sees it (libfaketime)."""

    needs = (*FaultTestCase.needs, FAKETIME)

    def setUp(self) -> None:
        """The clock, at first the host's."""
        super().setUp()
        self.clock = self.lab.scratch / "clock"
        self.set(0)

    def set(self, days: int) -> None:
        """The daemon's clock is so many days away from the host's."""
        self.clock.write_text(f"{days:+}d\n")

    def start(self, **bootpd: object) -> None:
        """A daemon with that clock."""
        names = {
            "LD_PRELOAD": FAKETIME,
            "FAKETIME_TIMESTAMP_FILE": self.clock,
            "FAKETIME_NO_CACHE": 1,
            "FAKETIME_DONT_FAKE_MONOTONIC": 1,
            "NO_FAKE_STAT": 1,
        }
        self.serve(under=("env", *(f"{name}={value}" for name, value in names.items())), **bootpd)

    def test_set(self) -> None:
        """Forward and back by years: nobody loses an address, no transfer and no answer waits for the clock."""
        self.start(pool_count=2, reclaim="expired", lease_time=3600)
        addresses = [self.obtains(1), self.obtains(2)]
        self.assertEqual(len(set(addresses)), 2)
        host = self.host()
        for count, days in enumerate((YEARS, -YEARS), 1):
            transfer = self.halting(host)
            self.set(days)
            self.goes_on(transfer)
            lost = host.run(sys.executable, "-c", LOST_BLOCK, timeout=PATIENCE + 5)
            self.assertEqual(lost.stdout.strip(), "content")
            self.says("the clock was set", count)
            self.assertEqual(self.obtains(3, tries=1), "")
            self.assertEqual([self.obtains(1), self.obtains(2)], addresses)
        until(lambda: "10.77.0.50 has file" in self.pybootd.log, PATIENCE, "lines are written")
        self.well()

    def test_before_the_start(self) -> None:
        """A daemon that starts in another year than that in which it stopped still knows whose the addresses are."""
        self.start(pool_count=2, lease_time=3600)
        addresses = [self.obtains(1), self.obtains(2)]
        for days in (YEARS, -YEARS):
            self.set(days)
            self.pybootd.restart()
            self.assertEqual([self.obtains(2), self.obtains(1)], addresses[::-1])
        self.well()

    def test_reclaimed_in_vain(self) -> None:
        """Where all leases seem to have ended long ago, nobody is given an address that its machine still uses."""
        self.start(pool_count=2, lease_time=3600, reclaim="expired", conflict_check=0.3)
        addresses = [self.obtains(1), self.obtains(2)]
        self.set(YEARS)
        self.pybootd.restart()
        self.assertEqual(self.obtains(3, tries=1), "")
        self.assertEqual([self.obtains(1), self.obtains(2)], addresses)
        self.well()


class ResourceTests(FaultTestCase):
    """Descriptors and disks."""

    needs = (*FaultTestCase.needs, "prlimit", "nsenter")

    def test_descriptors(self) -> None:
        """
        More clients than descriptors: those that have begun end well, the others are told, the log has one line;
        afterwards everything works.
        """
        self.serve("-H", under=("prlimit", "--nofile=48:48"))
        address = self.obtains(1)
        host = self.host()
        size = 5000
        (self.root / "middling").write_bytes(b"m" * size)
        crowd = host.start(sys.executable, "-c", CROWD, "80", "middling", str(size))
        told = json.loads(crowd.expect(r"^\{.*\}$", PATIENCE)[0])
        self.assertGreater(told["begun"], 5)
        self.assertEqual(told["begun"] + len(told["errors"]) + told["silent"], 80)
        self.assertTrue(told["errors"])
        self.assertEqual({text for text in told["errors"] if "limit" not in text and "try again" not in text}, set())
        # meanwhile: connections that cannot be taken do no harm, and machines get their addresses
        for _ in range(20):
            host.run("curl", "-sS", "-m", "2", f"http://{SERVER}/file", check=False)
        self.assertEqual(self.obtains(1), address)
        self.assertTrue(self.obtains(2))
        crowd.send(b"\n")
        whole = json.loads(crowd.expect(r"^\{.*\}$", PATIENCE)[0])
        self.assertEqual(whole["whole"], told["begun"])
        until(lambda: self.fetched(host) == "content", PATIENCE, "files are served again")
        self.assertEqual(host.run("curl", "-sS", f"http://{SERVER}/file").stdout, "content")
        lines = [line for line in self.pybootd.log.splitlines() if "error: " in line]
        self.assertEqual(len([line for line in lines if "no socket for a transfer" in line]), 1, lines)
        self.assertLessEqual(len(lines), 3, lines)
        self.well()

    def mounted(self, place: Path, size: str) -> Sequence[str | Path]:
        """The command that runs a daemon with a small file system of its own at that place."""
        return ("sh", "-c", f'mount -t tmpfs -o size={size},mode=755 tmpfs {place} && exec "$@"', "sh")

    def seen(self, place: Path) -> Path:
        """That place, as the daemon sees it."""
        return Path(f"/proc/{self.pybootd.program.pid}/root") / place.relative_to("/")

    def test_log_disk_full(self) -> None:
        """A log file on a full disk holds nobody up; when there is room, whole lines follow, and what is missing."""
        place = self.lab.directory("log")
        configuration = {**self.configuration(), "logger": {"type": "file", "file": place / "log"}}
        self.pybootd = Pybootd(self.lab.server, self.directory, configuration, under=self.mounted(place, "64k"))
        log, filler = self.seen(place) / "log", self.seen(place) / "filler"
        self.assertTrue(self.obtains(1))
        until(lambda: "10.77.0.100" in log.read_text(), PATIENCE, "the log is written")
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        host = self.host()
        # a file system gives whole pages: the last one of the log has room until it is full to the last byte
        urls = [f"tftp://{SERVER}/file"] * 20
        until(
            lambda: host.run("curl", "-sS", *urls).stdout == "content" * 20 and log.stat().st_size % 4096 == 0,
            PATIENCE,
            "the disk is full",
        )
        second = self.obtains(2)
        self.assertTrue(second)
        filler.unlink()
        until(lambda: self.fetched(host) == "content" and "could not be written" in log.read_text(), PATIENCE, "more")
        lines = log.read_text().splitlines()
        broken = [line for line in lines if not re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line)]
        self.assertLessEqual(len(broken), 1, broken)
        self.assertRegex(log.read_text(), r"warn: \d+ lines could not be written to this file\n.*\n")
        self.well()

    def test_leases_read_only(self) -> None:
        """
        On a directory that has become read-only the daemon does not start, and says why in one line; when it can be
        written again, everybody has the address of before.
        """
        place = self.lab.directory("leases")
        configuration = {**self.configuration(), "leases": {"store": f"sqlite:{place}/leases"}}
        self.pybootd = Pybootd(self.lab.server, self.directory, configuration)
        addresses = [self.obtains(1), self.obtains(2)]
        self.assertEqual(self.pybootd.program.stop(), 0)
        read_only = ("sh", "-c", f'mount --bind {place} {place} && mount -o remount,bind,ro {place} && exec "$@"', "sh")
        file = self.directory / "pybootd.ini"
        done = self.lab.server.run(*read_only, *command(configuration=file), check=False, timeout=30)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1), done.stderr)
        self.assertRegex(done.stderr, rf"\[leases\] store.*{place}.*(read-only|readonly|Read-only)")
        self.pybootd = Pybootd(self.lab.server, self.directory, configuration)
        self.assertEqual([self.obtains(2), self.obtains(1)], addresses[::-1])
        self.well()


class RemoteTests(FaultTestCase):
    """A root that is another web server."""

    needs = (*FaultTestCase.needs, "nginx")

    def test_dies_in_the_middle(self) -> None:
        """
        The other server dies while a file comes from it by TFTP and HTTP: both transfers end as broken, not as whole;
        when it is back, so are its files.
        """
        origin = self.lab.segment.host("10.77.0.60/24")
        slow = "limit_rate 200k;"
        server = nginx(self.lab, origin, self.root, port=8080, server=slow)
        configuration = {**self.configuration(), "tftpd": {"root": "http://10.77.0.60:8080/"}}
        self.pybootd = Pybootd(self.lab.server, self.directory, configuration, "-H", ports=(*PORTS, ("tcp", 80)))
        host = self.host()
        self.assertEqual(self.fetched(host), "content")
        before = self.descriptors()
        downloads = []
        for scheme in ("tftp", "http"):
            to = self.lab.scratch / scheme
            downloads.append(host.start("curl", "-sS", "-o", to, f"{scheme}://{SERVER}/large"))
            until(lambda to=to: to.exists() and to.stat().st_size > 0, PATIENCE, f"{scheme} has begun")  # type: ignore
        server.stop()
        for download in downloads:
            self.assertNotEqual(download.wait(60), 0, download.name)
        self.assertEqual(self.fetched(host), "")
        self.says(r"did not get /?large: 10\.77\.0\.60 broke off", 2)
        self.says(r"did not get file: 10\.77\.0\.60 refuses connections")
        nginx(self.lab, origin, self.root, port=8080)
        until(lambda: self.fetched(host) == "content", PATIENCE, "its files are back")
        to = self.lab.scratch / "whole"
        host.run("curl", "-sS", "-o", to, f"tftp://{SERVER}/large")
        self.assertTrue(to.read_bytes() == self.large)
        until(lambda: self.descriptors() <= before + 1, PATIENCE, "no descriptor is left open")
        self.well()
