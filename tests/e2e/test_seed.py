"""
What an existing C{pybootd.ini} is promised: the original's sections and options, seen from outside.

A daemon with an INI file in one namespace, a client's packets from another.
"""

from __future__ import annotations

import sys
from pathlib import Path
from struct import pack

from pybootd.dhcp.packet import Packet, decode
from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.lab import Namespace, until
from tests.e2e.support.servers import Configuration, Pybootd
from tests.support.dhcp import BIOS, BROADCAST, DISCOVER, RELEASE, REQUEST, SYSTEM, UEFI, UUID, datagram, number

ROOT = Path(__file__).resolve().parents[2]
SERVER = "10.77.0.1"
MAC = bytes.fromhex("5254000000aa")
DASHED = "52-54-00-00-00-AA"
PRINTED = "77aabbcc-1122-3344-5566-77889900aabb"

LISTENER = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("10.77.0.9", 9999))
print("ready", flush=True)
while True:
    print(sock.recv(999).decode("ascii"), flush=True)
"""

ACCESS = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked", self.path, flush=True)
        status = int(sys.argv[1])
        self.send_response(status)
        body = b"client: node9\\nfile: named.0\\n" if status == 200 else b""
        if status == 302:
            self.send_header("Location", "http://10.77.0.9:8080/else")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
server = http.server.ThreadingHTTPServer(("10.77.0.9", 8080), Handler)
print("ready", flush=True)
server.serve_forever()
"""


class SeedTestCase(EndToEndTestCase):
    """A daemon with the original's sample configuration, changed as the test wants; a client host beside it."""

    def serve(self, sections: Configuration | None = None, *flags: str, tftp: bool = True) -> None:
        """Start the daemon."""
        directory = self.lab.directory("daemon")
        self.root = directory / "images"
        self.root.mkdir()
        configuration: dict[str, dict[str, object]] = {
            "logger": {"type": "stderr", "level": "debug"},
            "bootpd": {
                "pool_start": "10.77.0.100",
                "pool_count": 5,
                "servername": "debian",
                "domain": "localdomain",
                "dns": "10.77.0.53;10.77.0.54",
                "conflict_check": 0,
            },
            "bootfile": {"default": "pxelinux.0", "00007": "boot.efi"},
            "tftpd": {"root": "./images"},
        }
        for section, options in (sections or {}).items():
            configuration.setdefault(section, {}).update(options)
        configuration = {name: options for name, options in configuration.items() if options}
        ports = [("udp", 67), ("udp", 69)] if tftp else [("udp", 67)]
        self.pybootd = Pybootd(self.lab.server, directory, configuration, *flags, ports=ports)
        self.client: Namespace = self.lab.segment.host("10.77.0.9/24")

    def ask(self, *datagrams: bytes, seconds: float = 1.5) -> list[Packet]:
        """The answers to these datagrams, in order."""
        words = [
            sys.executable,
            "-m",
            "tests.e2e.support.asker",
            "eth0",
            str(seconds),
            *(one.hex() for one in datagrams),
        ]
        done = self.client.run(*words, directory=ROOT, environment={"PYTHONPATH": str(ROOT)})
        return [decode(bytes.fromhex(line)) for line in done.stdout.split()]

    def discover(self, options: dict[int, bytes], mac: bytes = MAC) -> list[Packet]:
        """The answers to a DISCOVER."""
        return self.ask(datagram(DISCOVER, options, mac=mac, flags=BROADCAST))

    def lease(self, options: dict[int, bytes], mac: bytes = MAC) -> Packet:
        """A whole exchange: the ACK."""
        (offer,) = self.discover(options, mac)
        chosen = {50: pack("!I", offer.yiaddr), 54: pack("!I", number(SERVER)), **options}
        (ack,) = self.ask(datagram(REQUEST, chosen, mac=mac, flags=BROADCAST))
        self.assertEqual(ack.options[53], b"\5")
        return ack

    def tftp(self, name: str) -> bytes | None:
        """A file by TFTP; None where the server refuses."""
        target = self.pybootd.directory / "got"
        target.unlink(missing_ok=True)
        done = self.client.run("atftp", "--get", "-r", name, "-l", target, SERVER, check=False, timeout=20)
        return target.read_bytes() if done.returncode == 0 and target.exists() else None

    def helper(self, text: str, *words: str) -> object:
        """A small program beside the client, once it says that it is ready."""
        program = self.client.start(sys.executable, "-c", text, *words)
        until(lambda: "ready" in program.output, 10, "the helper is ready")
        return program


class BootpdTests(SeedTestCase):
    """C{[bootpd]}."""

    def test_boot(self) -> None:
        """A PXE client gets an address of the pool and its boot file; sname is server name and domain; one option 6."""
        self.serve()
        ack = self.lease(BIOS)
        self.assertEqual(ack.yiaddr, number("10.77.0.100"))
        self.assertEqual(ack.file.rstrip(b"\0"), b"pxelinux.0")
        self.assertEqual(ack.sname.rstrip(b"\0"), b"debian.localdomain")
        self.assertEqual(ack.options[6], pack("!II", number("10.77.0.53"), number("10.77.0.54")))
        self.assertEqual(ack.options[3], pack("!I", number(SERVER)))
        self.assertEqual(ack.options[51], pack("!I", 86400))

    def test_simple_dhcp(self) -> None:
        """A client that never booted is ignored; after it has booted its system gets the same address."""
        self.serve()
        self.assertEqual(self.discover(SYSTEM), [])
        first = self.lease(BIOS)
        self.assertEqual(self.lease(SYSTEM).yiaddr, first.yiaddr)

    def test_allow_simple_dhcp(self) -> None:
        """C{allow_simple_dhcp} serves it at once, without a boot file, and plain BOOTP too."""
        self.serve({"bootpd": {"allow_simple_dhcp": "enabled"}})
        ack = self.lease(SYSTEM)
        self.assertNotIn(67, ack.options)
        (reply,) = self.ask(datagram(None, {}, mac=bytes.fromhex("5254000000ab"), flags=BROADCAST))
        self.assertFalse(reply.dhcp)
        self.assertEqual(reply.file.rstrip(b"\0"), b"pxelinux.0")

    def test_pool(self) -> None:
        """Machines get different addresses until the pool is empty; a machine keeps its own over a restart."""
        self.serve({"bootpd": {"pool_count": 2}})
        macs = [bytes.fromhex(f"52540000000{digit}") for digit in "123"]
        first, second = (self.lease(BIOS, mac).yiaddr for mac in macs[:2])
        self.assertNotEqual(first, second)
        self.assertEqual(self.discover(BIOS, macs[2]), [])
        self.pybootd.restart()
        self.assertEqual(self.lease(BIOS, macs[1]).yiaddr, second)

    def test_gateway(self) -> None:
        """C{gateway}, and C{set_gateway = no}."""
        self.serve({"bootpd": {"gateway": "10.77.0.254", "lease_time": 600}})
        ack = self.lease(BIOS)
        self.assertEqual((ack.options[3], ack.options[51]), (pack("!I", number("10.77.0.254")), pack("!I", 600)))

    def test_no_gateway(self) -> None:
        """C{set_gateway = no}: no option 3."""
        self.serve({"bootpd": {"set_gateway": "no"}})
        self.assertNotIn(3, self.lease(BIOS).options)

    def test_architectures(self) -> None:
        """Each architecture its file; one without an entry is not answered, and the log names what is missing."""
        self.serve()
        self.assertEqual(self.discover(UEFI)[0].file.rstrip(b"\0"), b"boot.efi")
        self.assertEqual(self.discover({**UEFI, 93: b"\0\x0b"}), [])
        until(lambda: "arm64-uefi" in self.pybootd.log, 5, "the log names the entry")

    def test_notify(self) -> None:
        """UDP notifications: BOOT, LEASE and RELEASE with UUID, hardware address and IP address."""
        self.serve({"bootpd": {"notify": "10.77.0.9:9999;10.77.0.9:9998"}})
        listener = self.helper(LISTENER)
        self.lease(BIOS)
        self.lease(SYSTEM)
        self.ask(datagram(RELEASE, {54: pack("!I", number(SERVER))}, mac=MAC, ciaddr="10.77.0.100"), seconds=0.2)
        tail = f"{PRINTED.upper()},52:54:00:00:00:AA,10.77.0.100"
        wanted = ["ready", f"BOOT,{tail}", f"LEASE,{tail}", f"RELEASE,{tail}"]
        until(lambda: len(listener.output.split()) >= 4, 5, "four lines")
        self.assertEqual(listener.output.split(), wanted)

    def test_static(self) -> None:
        """C{[static_dhcp]}: its own address, outside the pool; C{pool_count = 0} serves nobody else."""
        self.serve({"bootpd": {"pool_count": 0}, "static_dhcp": {DASHED: "10.77.0.50"}})
        self.assertEqual(self.lease(BIOS).yiaddr, number("10.77.0.50"))
        self.assertEqual(self.discover(BIOS, bytes.fromhex("5254000000ab")), [])


class AccessTests(SeedTestCase):
    """C{access}: who is served."""

    needs = ("atftp",)

    def test_mac(self) -> None:
        """Unknown machines are refused, masks count from the left, the longest decides."""
        self.serve({"bootpd": {"access": "mac"}, "mac": {"52-54-00/24": "enable", DASHED: "off"}})
        self.assertEqual(self.discover(BIOS), [])
        self.assertEqual(len(self.discover(BIOS, bytes.fromhex("5254000000ab"))), 1)
        self.assertEqual(self.discover(BIOS, bytes.fromhex("5255000000ab")), [])

    def test_uuid(self) -> None:
        """The UUID as it is printed; the operating system, which does not send it, is remembered by the boot."""
        self.serve({"bootpd": {"access": "uuid"}, "uuid": {PRINTED.upper(): "enable"}})
        first = self.lease(BIOS)
        self.assertEqual(self.lease(SYSTEM).yiaddr, first.yiaddr)
        other = {**BIOS, 97: b"\0" + UUID[::-1]}
        self.assertEqual(self.discover(other, bytes.fromhex("5254000000ab")), [])

    def http(self, status: int) -> object:
        """A daemon that asks a web server which always answers so."""
        self.serve(
            {
                "bootpd": {"access": "http"},
                "http": {"location": "http://10.77.0.9:8080", "pxe": "/boot", "dhcp": "/linux"},
            }
        )
        return self.helper(ACCESS, str(status))

    def test_http_grants(self) -> None:
        """200 grants; each stage has its path; the body names host and boot file."""
        server = self.http(200)
        ack = self.lease(BIOS)
        self.lease(SYSTEM)
        self.assertEqual(ack.options[67], b"named.0\0")
        asked = [line.split()[1] for line in server.output.splitlines() if line.startswith("asked")]
        self.assertEqual({path.partition("?")[0] for path in asked}, {"/boot", "/linux"})
        for path in asked:
            self.assertIn(f"mac={DASHED}", path)
            self.assertIn(PRINTED, path.lower())

    def test_http_ignores(self) -> None:
        """401 ignores the machine, and the log says who said so."""
        self.http(401)
        self.assertEqual(self.discover(BIOS), [])
        until(lambda: "401" in self.pybootd.log, 5, "the log says 401")

    def test_http_redirects(self) -> None:
        """A redirect is no grant and is not followed; nor is any other answer a grant."""
        server = self.http(302)
        self.assertEqual(self.discover(BIOS), [])
        self.assertNotIn("/else", server.output)

    def test_http_down(self) -> None:
        """Nobody there: nobody is let in."""
        self.serve({"bootpd": {"access": "http"}, "http": {"location": "http://10.77.0.9:8080", "pxe": "/boot"}})
        self.assertEqual(self.discover(BIOS), [])


class FilesTests(SeedTestCase):
    """C{[tftpd]}, C{[filters]}, and the flags."""

    needs = ("atftp", "curl")

    def test_filters(self) -> None:
        """Wildcards, C{{filename}}, C{[file]}, a target beside the root; and nothing outside for the asking."""
        self.serve(
            {
                "filters": {
                    "pxelinux.cfg/*": "./pxe.cfg",
                    "moved/*": "there/{filename}",
                    "kernel": "[./current]",
                }
            }
        )
        directory = self.pybootd.directory
        (directory / "pxe.cfg").write_text("menu")
        (directory / "current").write_text("vmlinuz-9\n")
        (self.root / "vmlinuz-9").write_text("kernel 9")
        (self.root / "there/moved").mkdir(parents=True)
        (self.root / "there/moved/a").write_text("moved a")
        self.assertEqual(self.tftp("pxelinux.cfg/01-52-54"), b"menu")
        self.assertEqual(self.tftp("/kernel"), b"kernel 9")
        self.assertEqual(self.tftp("moved/a"), b"moved a")
        for name in ("../pxe.cfg", "/etc/passwd", "moved/../../../pxe.cfg", "nothing"):
            self.assertIsNone(self.tftp(name), name)

    def test_only_pxe(self) -> None:
        """C{-p}: no TFTP."""
        self.serve(None, "-p", tftp=False)
        self.assertFalse(self.lab.server.listening("udp", 69))
        self.assertEqual(len(self.discover(BIOS)), 1)

    def test_only_tftp(self) -> None:
        """C{-t}: no DHCP, and a configuration without a pool will do."""
        directory = self.lab.directory("daemon")
        (directory / "a").write_text("a")
        self.pybootd = Pybootd(
            self.lab.server, directory, {"tftpd": {"root": "./", "port": 6969}}, "-t", ports=[("udp", 6969)]
        )
        self.client = self.lab.segment.host("10.77.0.9/24")
        self.assertFalse(self.lab.server.listening("udp", 67))
        self.assertEqual(self.client.run("curl", "-s", f"tftp://{SERVER}:6969/a").stdout, "a")

    def test_check_ip(self) -> None:
        """HTTP serves machines with a lease, others get 401; without C{check_ip} it serves everybody."""
        self.serve({"httpd": {"port": 8000, "root": "./images"}}, "-H")
        (self.root / "a").write_text("a")
        status = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{SERVER}:8000/a"]
        self.assertEqual(self.client.run(*status).stdout, "401")

    def test_no_check_ip(self) -> None:
        """C{check_ip = no}."""
        self.serve({"httpd": {"port": 8000, "root": "./images", "check_ip": "off"}}, "-H")
        (self.root / "a").write_text("a")
        self.assertEqual(self.client.run("curl", "-s", f"http://{SERVER}:8000/a").stdout, "a")

    def test_log_file(self) -> None:
        """C{type = file}, with one JSON object a line where that is wanted."""
        self.serve({"logger": {"type": "file", "file": "./boot.log", "format": "json"}})
        self.lease(BIOS)
        log = self.pybootd.directory / "boot.log"
        until(lambda: '"52:54:00:00:00:aa' in log.read_text(), 5, "the machine is in the log")
