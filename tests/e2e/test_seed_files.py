"""What an existing C{pybootd.ini} is promised: C{[tftpd]}, C{[httpd]}, C{[filters]}, C{[logger]} and the flags."""

from __future__ import annotations

import sys

from tests.e2e.support.lab import until
from tests.e2e.support.seed import DASHED, MAC, SERVER, SeedTestCase
from tests.e2e.support.servers import Pybootd, nginx
from tests.support.dhcp import BIOS

MIRROR = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        name = self.path.strip("/")
        status, length, body, where = {
            "whole": (200, 100000, 100000, ""),
            "short": (200, 100000, 50000, ""),
            "failing": (500, 0, 0, ""),
            "moved": (302, 0, 0, "/whole"),
            "circle": (302, 0, 0, "/circle"),
        }.get(name, (404, 0, 0, ""))
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        if where:
            self.send_header("Location", where)
        self.end_headers()
        self.wfile.write(b"x" * body)
        self.close_connection = name == "short"
    do_HEAD = do_GET
    def log_message(self, *words):
        pass
server = http.server.ThreadingHTTPServer(("10.77.0.9", 8080), Handler)
print("ready", flush=True)
server.serve_forever()
"""

SILENT = """
import socket, struct, sys
SO_TIMESTAMPNS = 35
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
sock.settimeout(30)
sock.sendto(b"\\0\\1a\\0octet\\0", (sys.argv[1], int(sys.argv[2])))
try:
    while True:
        data, ((_, _, came),), _, _ = sock.recvmsg(9999, 64)
        seconds, nanoseconds = struct.unpack("@ll", came)
        print(len(data), seconds + nanoseconds / 1e9, flush=True)
        sock.settimeout(3)
except TimeoutError:
    pass
"""
"""A client that says nothing after its request: how long each datagram is, and when it came, by the kernel's clock."""


class FilesTests(SeedTestCase):
    """C{[tftpd]}, C{[filters]}, and the flags."""

    needs = ("atftp", "curl", "nginx")

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

    def test_variables(self) -> None:
        """The machine's variables; what one brings in stays below the directory before it."""
        host = {"var.role": "web", "var.evil": "../../pxe.cfg", "hostname": "node9"}
        filters = {
            "own.cfg": "by-mac/{mac}.cfg",
            "ip.cfg": "{ip}/{arch}",
            "role/*": "{role}/{filename}",
            "name": "./{hostname}",
            "evil": "cfg/{evil}",
        }
        static = {"static_dhcp": {DASHED: "10.77.0.9"}}
        self.serve({**static, f"host {MAC.hex(':')}": host, "filters": filters})
        self.lease(BIOS)
        directory = self.pybootd.directory
        (directory / "pxe.cfg").write_text("secret")
        for path, text in (
            (self.root / "by-mac" / f"{DASHED.lower()}.cfg", "mine"),
            (self.root / "10.77.0.9" / "00000", "by address"),
            (self.root / "web" / "role" / "a", "of the role"),
            (directory / "node9", "by name"),
            (self.root / "cfg" / "a", "a"),
        ):
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(text)
        wanted = {"own.cfg": b"mine", "ip.cfg": b"by address", "role/a": b"of the role", "name": b"by name"}
        self.assertEqual({name: self.tftp(name) for name in (*wanted, "evil")}, {**wanted, "evil": None})

    def test_remote_root(self) -> None:
        """A root that is a URL: streamed from there, with its length; filters lead there, or to files of this host."""
        filters = {"pxelinux.cfg/*": "./pxe.cfg", "kernel": "current/{filename}", "named": "[./name]"}
        root = "http://10.77.0.9:8080/debian/"
        self.serve({"tftpd": {"root": root}, "filters": filters, "bootpd": {"allow_simple_dhcp": "yes"}})
        mirror = self.lab.directory("mirror")
        content = bytes(range(256)) * 5000
        for name, data in (("pxelinux.0", content), ("current/kernel", b"kernel"), ("9/named", b"named")):
            (mirror / "debian" / name).parent.mkdir(parents=True, exist_ok=True)
            (mirror / "debian" / name).write_bytes(data)
        (mirror / "outside").write_text("secret")
        nginx(self.lab, self.client, mirror, port=8080)
        (self.pybootd.directory / "pxe.cfg").write_text("menu")
        (self.pybootd.directory / "name").write_text("9/named\n")
        wanted = {"pxelinux.0": content, "kernel": b"kernel", "named": b"named", "pxelinux.cfg/default": b"menu"}
        refused = ("gone", "../outside", "/../outside", "%2e%2e/outside", "http://10.77.0.9:8080/outside")
        self.assertEqual({name: self.tftp(name) for name in wanted}, wanted)
        self.assertEqual([self.tftp(name) for name in refused], [None] * len(refused))
        self.assertEqual(self.size_told(), 0)
        until(lambda: self.size_told() == -(-len(content) // 512), 60, "the remote file's length is told (option 13)")

    def size_told(self) -> int:
        """Option 13 of an OFFER."""
        return int.from_bytes(self.offer({**BIOS, 55: bytes((13, 67))}).options.get(13, b""), "big")

    def test_bad_mirror(self) -> None:
        """A mirror that is short, fails or sends round in circles: a clear error, and the next file is served."""
        self.serve({"tftpd": {"root": "http://10.77.0.9:8080"}})
        self.helper(MIRROR)
        self.assertEqual(self.tftp("whole"), b"x" * 100_000)
        self.assertEqual(self.tftp("moved"), b"x" * 100_000)
        for name, reason in (
            ("short", "broke off after 50000 of 100000"),
            ("failing", "500"),
            ("missing", "404|no such file|not found"),
            ("circle", "redirect"),
        ):
            words = ["curl", "-sS", "--tftp-blksize", "1024", f"tftp://{SERVER}/{name}", "-o", "/dev/null"]
            self.assertNotEqual(self.client.run(*words, check=False, timeout=30).returncode, 0, name)
            self.pybootd.program.expect(f"(?i){name}.*({reason})")
            self.assertEqual(self.tftp("whole"), b"x" * 100_000, name)
        self.assertNotIn("Traceback", self.pybootd.log)

    def test_lockstep(self) -> None:
        """C{blocksize}, C{timeout} and C{retries} where nothing is negotiated; an address and a port of its own."""
        tftpd = {"blocksize": 256, "timeout": 0.8, "retries": 2, "address": SERVER, "port": 6969}
        self.serve({"tftpd": tftpd}, tftp=False)
        (self.root / "a").write_bytes(bytes(1000))
        program = self.client.start(sys.executable, "-c", SILENT, SERVER, "6969")
        until(lambda: program.returncode is not None, 60, "the silent client ends")
        came = [(int(size), float(when)) for size, when in map(str.split, program.output.splitlines())]
        self.assertEqual([size for size, _ in came if size == 260], [260] * 3)
        self.assertGreater(came[1][1] - came[0][1], 0.5)

    def test_absolute_root(self) -> None:
        """C{root} as an absolute path, and C{[httpd]} with a root and an address of its own."""
        boot, web = self.lab.directory("boot"), self.lab.directory("web")
        (boot / "a").write_text("boot")
        (web / "a").write_text("web")
        httpd = {"root": web, "port": 8000, "check_ip": "no", "address": SERVER, "enable": "yes"}
        self.serve({"tftpd": {"root": boot}, "httpd": httpd})
        self.assertEqual(self.tftp("a"), b"boot")
        self.assertEqual(self.client.run("curl", "-s", f"http://{SERVER}:8000/a").stdout, "web")

    def test_writes(self) -> None:
        """Writes are refused; C{upload} takes new files below its directory, and no others."""
        for upload, status in ((None, 1), ("./logs", 0)):
            self.serve({"tftpd": {"upload": upload}}) if upload is None else self.again({"upload": upload})
            source = self.lab.scratch / "written"
            source.write_text("log")
            words = ["atftp", "--put", "-l", source, "-r", "new.log", SERVER]
            self.assertEqual(bool(self.client.run(*words, check=False, timeout=20).returncode), bool(status))
        self.assertEqual((self.pybootd.directory / "logs" / "new.log").read_text(), "log")
        self.assertNotEqual(self.client.run(*words, check=False, timeout=20).returncode, 0)

    def again(self, tftpd: dict[str, object]) -> None:
        """Start the daemon anew with these options too."""
        text = self.pybootd.configuration.read_text()
        lines = "".join(f"{name} = {value}\n" for name, value in tftpd.items())
        self.pybootd.configuration.write_text(text.replace("[tftpd]\n", f"[tftpd]\n{lines}"))
        (self.pybootd.directory / "logs").mkdir(exist_ok=True)
        self.pybootd.restart()

    def test_only_pxe(self) -> None:
        """C{-p}: no TFTP."""
        self.serve(None, "-p", tftp=False)
        self.assertFalse(self.lab.server.listening("udp", 69))
        self.offer(BIOS)

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
        until(lambda: '"52:54:00:00:00:aa' in log.read_text(), 60, "the machine is in the log")
