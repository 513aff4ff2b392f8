"""The web server as clients meet it: curl, and programs that mean no good."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.clients import Udhcpc
from tests.e2e.support.lab import Namespace, until
from tests.e2e.support.program import Program
from tests.e2e.support.servers import Configuration, Pybootd, nginx

PORTS = (("udp", 69), ("tcp", 80))
SERVER = "http://10.77.0.1"
PARALLEL = 200

STATUS_AND_SIZE = "%{http_code} %{size_download} %{num_connects}\n"

# Sends a file of requests as they are, each over a connection of its own, and prints the status of each answer.
RAW = """
import socket, sys
for request in open(sys.argv[1], "rb").read().split(b"\\n--\\n"):
    with socket.create_connection(("10.77.0.1", 80), 10) as s:
        s.sendall(request)
        s.settimeout(10)
        data = b""
        while b"\\r\\n" not in data:
            piece = s.recv(65536)
            if not piece:
                break
            data += piece
        print(data.split(b"\\r\\n")[0].split(b" ")[1].decode() if data else "closed")
"""

# Opens many connections that each drip a header, and holds them.
SLOW = """
import socket, sys, time
held = []
for number in range(int(sys.argv[1])):
    s = socket.socket()
    try:
        s.connect(("10.77.0.1", 80))
        s.send(b"GET / HTTP/1.1\\r\\nA: ")
    except OSError:
        pass
    held.append(s)
print("held", flush=True)
while True:
    for s in held:
        try:
            s.send(b"x")
        except OSError:
            pass
    time.sleep(1)
"""

# Asks for a large file, takes a little of it, and leaves; again and again.
LEAVING = """
import socket
for number in range(200):
    with socket.create_connection(("10.77.0.1", 80), 10) as s:
        s.sendall(b"GET /large HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        s.recv(1000 * (number % 7))
"""


class HttpTestCase(EndToEndTestCase):
    """A server with a root, and a host beside it."""

    needs = ("curl",)

    def setUp(self) -> None:
        super().setUp()
        self.directory = self.lab.directory("daemon")
        self.root = self.lab.directory("root")
        self.write("small", b"0123456789")
        self.large = self.write("large", os.urandom(1 << 20) * 20)
        self.client = self.lab.segment.host("10.77.0.50/24")

    def write(self, name: str, data: bytes) -> bytes:
        """A file in the root; its content."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return data

    def serve(self, httpd: dict[str, object] | None = None, *flags: str, **sections: dict[str, object]) -> Pybootd:
        """Start a pybootd that serves the root to everybody."""
        configuration: Configuration = {
            "httpd": {"root": self.root, "check_ip": False, **(httpd or {})},
            "tftpd": {"root": self.root},
            **sections,
        }
        ports = PORTS if "-t" in flags or not flags else (("udp", 67), *PORTS)
        self.pybootd = Pybootd(self.lab.server, self.directory, configuration, *(flags or ("-t", "-H")), ports=ports)
        return self.pybootd

    def tearDown(self) -> None:
        """Whatever happened, the server said nothing that only its authors understand, and it stops well."""
        if hasattr(self, "pybootd"):
            self.assertEqual(self.pybootd.program.stop(), 0, self.pybootd.log)
            self.assertNotIn("Traceback", self.pybootd.log)

    def curl(self, *words: str | Path, host: Namespace | None = None) -> subprocess.CompletedProcess[str]:
        """Run curl on a host, which must not be told to fail."""
        return (host or self.client).run("curl", "-s", "--path-as-is", *words, timeout=300)

    def fetch(self, name: str, *words: str) -> bytes:
        """What curl gets."""
        file = self.lab.scratch / "fetched"
        self.curl("-f", *words, "-o", file, f"{SERVER}/{name}")
        return file.read_bytes()

    def slow_download(self) -> Program:
        """A download that has begun, and is far from its end whatever the sockets on the way take."""
        with (self.root / "huge").open("wb") as file:
            file.truncate(200 << 20)
        to = self.lab.scratch / "slow"
        slow = self.client.start("curl", "-s", "--limit-rate", "10M", "-o", to, f"{SERVER}/huge")
        until(lambda: to.exists() and to.stat().st_size > 1_000_000, 30, "the download has begun")
        return slow

    def descriptors(self) -> int:
        """How many descriptors the server has open."""
        return len(list(Path(f"/proc/{self.pybootd.program.pid}/fd").iterdir()))


class CurlTests(HttpTestCase):
    """What curl gets."""

    def test_files(self) -> None:
        """Files arrive whole, small and large, and their parts too."""
        self.serve()
        self.assertEqual(self.fetch("small"), b"0123456789")
        self.assertTrue(self.fetch("large") == self.large)
        self.assertTrue(self.fetch("large", "-r", "1000000-3999999") == self.large[1_000_000:4_000_000])
        self.assertTrue(self.fetch("large", "-r", "-12345") == self.large[-12345:])

    def test_resumed(self) -> None:
        """A download that broke off goes on."""
        self.serve()
        file = self.lab.scratch / "part"
        file.write_bytes(self.large[:7_000_000])
        self.curl("-f", "-C", "-", "-o", file, f"{SERVER}/large")
        self.assertTrue(file.read_bytes() == self.large)

    def test_one_connection(self) -> None:
        """HEAD, then GETs of all kinds, over one connection, as firmware does it."""
        self.serve()
        next_one = ("--next", "-s", "-o", "/dev/null", "-w", STATUS_AND_SIZE)
        answer = self.curl(
            *("-I", "-o", "/dev/null", "-w", STATUS_AND_SIZE, f"{SERVER}/large"),
            *(*next_one, f"{SERVER}/large"),
            *(*next_one, f"{SERVER}/missing"),
            *(*next_one, "-r", "5-6", f"{SERVER}/large"),
            *(*next_one, f"{SERVER}/small"),
        )
        lines = [line.split() for line in answer.stdout.splitlines()]
        self.assertEqual([line[0] for line in lines], ["200", "200", "404", "206", "200"])
        self.assertEqual([line[1] for line in lines if line[0] != "404"], ["0", str(len(self.large)), "2", "10"])
        self.assertEqual([line[2] for line in lines], ["1", "0", "0", "0", "0"])

    def test_unchanged(self) -> None:
        """What a client has is not sent again, until it changes."""
        self.serve()
        etag = self.lab.scratch / "etag"
        words = ("--etag-save", etag, "--etag-compare", etag, "-o", "/dev/null", "-w", STATUS_AND_SIZE)
        answers = [self.curl(*words, f"{SERVER}/small").stdout.split()[0] for _ in range(2)]
        self.write("small", b"changed")
        answers.append(self.curl(*words, f"{SERVER}/small").stdout.split()[0])
        self.assertEqual(answers, ["200", "304", "200"])

    def test_parallel(self) -> None:
        """Two hundred downloads at once are correct to the byte."""
        self.serve()
        place = self.lab.directory("downloads")
        middling = self.write("middling", self.large[: 4 << 20])  # so that all of them need less than a gigabyte
        self.curl(
            *("-f", "--parallel", "--parallel-immediate", "--parallel-max", str(PARALLEL)),
            *("-o", place / "#1", f"{SERVER}/middling?[1-{PARALLEL}]"),
        )
        wanted = hashlib.sha256(middling).digest()
        files = list(place.iterdir())
        self.assertEqual(len(files), PARALLEL)
        for file in files:
            self.assertEqual(hashlib.sha256(file.read_bytes()).digest(), wanted, file.name)
            file.unlink()

    def test_tls(self) -> None:
        """With a certificate it speaks HTTPS, whole files and parts alike."""
        certificate, key = self.directory / "tls.pem", self.directory / "tls.key"
        self.lab.server.run(
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", "/CN=boot", "-addext", "subjectAltName=IP:10.77.0.1", "-keyout", key, "-out", certificate),
        )
        self.serve({"tls_certificate": certificate, "tls_key": key})
        file = self.lab.scratch / "fetched"
        words = ("-f", "--cacert", certificate, "-o", file)
        self.curl(*words, "https://10.77.0.1:80/large")
        self.assertTrue(file.read_bytes() == self.large)
        self.curl(*words, "-r", "5-1000004", "https://10.77.0.1:80/large")
        self.assertTrue(file.read_bytes() == self.large[5:1_000_005])

    def test_check_ip(self) -> None:
        """Only a machine that got its address here is served; another is told why not."""
        pool = {"pool_start": "10.77.0.100", "pool_count": 10, "allow_simple_dhcp": True}
        self.serve({"check_ip": True}, "-H", bootpd=pool)
        machine = Udhcpc(self.lab, self.lab.segment.host())
        machine.obtain()
        self.assertEqual(self.curl(f"{SERVER}/small", host=machine.host).stdout, "0123456789")
        answer = self.curl("-i", f"{SERVER}/small").stdout
        self.assertTrue(answer.startswith("HTTP/1.1 401 "), answer)
        self.assertIn("10.77.0.50", answer.partition("\n\n")[2])


class HostileTests(HttpTestCase):
    """Clients that mean no good get nothing, and take nothing from others."""

    def test_names(self) -> None:
        """No spelling of a name leads out of the root."""
        (self.lab.scratch / "secret").write_text("secret")
        (self.root / "link").symlink_to("../secret")
        (self.root / "passwd").symlink_to("/etc/passwd")
        os.mkfifo(self.root / "fifo")
        self.serve()
        for name in (
            *("../secret", "..%2fsecret", "%2e%2e/secret", "%2e%2e%2fsecret", "..\\secret", "..%5csecret"),
            *("/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "small%00", "small%00.efi", "%00", "link", "passwd"),
            *("fifo", "", ".", "..", "small/", "../daemon/pybootd.ini", "%c0%ae%c0%ae/secret", "x" * 5000),
        ):
            answer = self.curl("-m", "10", "-w", "\n%{http_code}", f"{SERVER}/{name}").stdout
            self.assertEqual(answer.splitlines()[-1], "404", name)
            self.assertNotIn("secret\n", answer.partition("\n")[2], name)

    def test_requests(self) -> None:
        """No request makes it fail; what is no request is refused, and what has a body too."""
        self.serve()
        file = self.lab.scratch / "requests"
        cases: tuple[tuple[bytes, str], ...] = (
            (b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n", "200"),
            (b"GET /small HTTP/1.0\r\n\r\n", "200"),
            (b"GET http://example.org/small HTTP/1.1\r\nHost: x\r\n\r\n", "200"),
            (b"GET * HTTP/1.1\r\n\r\n", "404"),
            (b"GET /small\r\n\r\n", "400"),
            (b"nonsense\r\n\r\n", "400"),
            (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", "400"),
            (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n\r\n", "400"),
            (b"GET /small HTTP/1.1\r\nA: " + b"x" * 20000 + b"\r\n\r\n", "400"),
            (b"GET /small HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", "400"),
            (b"POST /small HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", "405"),
            (b"PUT /small HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "405"),
            (b"DELETE /small HTTP/1.1\r\n\r\n", "405"),
            (b"GET /small HTTP/1.1\r\nContent-Length: 5\r\n\r\n", "413"),
            (b"GET /small HTTP/1.1\r\nRange: bytes=" + b"0-," * 1000 + b"\r\n\r\n", "200"),
            (b"GET /small HTTP/1.1\r\nRange: bytes=\xd9\xa0-5\r\n\r\n", "200"),
            (b"GET /small HTTP/1.1\r\nRange: bytes=-0\r\n\r\n", "416"),
            (b"GET /small HTTP/1.1\r\nIf-Modified-Since: " + bytes(range(128, 255)) + b"\r\n\r\n", "200"),
            (b"GET /small HTTP/1.1\r\nIf-Range: \xff\r\nRange: bytes=1-2\r\n\r\n", "200"),
        )
        file.write_bytes(b"\n--\n".join(request for request, _ in cases))
        statuses = self.client.run("python3", "-c", RAW, file, timeout=60).stdout.split()
        for (request, status), seen in zip(cases, statuses, strict=True):
            # a connection that is closed on unread bytes may lose the answer on its way
            self.assertIn(seen, {status, "closed"} if len(request) > 15000 else {status}, request[:60])

    def test_slow_headers(self) -> None:
        """Eleven hundred connections that drip their headers keep nobody from a file."""
        self.serve(limits={"connections": 500, "connections_per_client": 400})
        attackers = [self.lab.segment.host(f"10.77.0.{60 + number}/24") for number in range(3)]
        for attacker in attackers:
            attacker.start("python3", "-c", SLOW, "370").expect("held")
        # well before the headers' time is over
        self.assertEqual(self.fetch("small", "-m", "10"), b"0123456789")
        self.assertTrue(self.fetch("large", "-m", "60") == self.large)
        self.assertLess(self.descriptors(), 600)

    def test_leaving(self) -> None:
        """Clients that go away in the middle leave nothing open."""
        self.serve()
        self.fetch("small")
        before = self.descriptors()
        self.client.run("python3", "-c", LEAVING, timeout=60)
        self.assertTrue(self.fetch("large") == self.large)
        until(lambda: self.descriptors() <= before + 2, 30, "nothing is left open")

    def test_changing_file(self) -> None:
        """A file that is cut while it is being sent is never taken for whole."""
        self.serve()
        slow = self.slow_download()
        os.truncate(self.root / "huge", 100)
        self.assertNotEqual(slow.wait(60), 0)


class RemoteTests(HttpTestCase):
    """A root that is another web server."""

    needs = ("curl", "nginx")

    def mirror(self, **sections: dict[str, object]) -> None:
        host = self.lab.segment.host("10.77.0.60/24")
        self.nginx = nginx(self.lab, host, self.root, port=8080)
        self.serve({"root": "http://10.77.0.60:8080/"}, **sections)

    def asked(self) -> list[str]:
        """The requests that the mirror has seen."""
        return re.findall(r'"GET \S+ HTTP/1.1" (\d+)', self.nginx.output)

    def test_streamed(self) -> None:
        """Files of the other server arrive whole; what it does not have is missing."""
        self.mirror()
        self.assertEqual(self.fetch("small"), b"0123456789")
        self.assertTrue(self.fetch("large") == self.large)
        for name, status in (("missing", "404"), ("../x", "404"), ("large?x", "200")):
            self.assertEqual(self.curl("-o", "/dev/null", "-w", "%{http_code}", f"{SERVER}/{name}").stdout, status)

    def test_mirror_gone(self) -> None:
        """A server that cannot be asked: 503, and which one it is."""
        self.mirror()
        self.nginx.stop()
        answer = self.curl("-w", "%{http_code}", f"{SERVER}/small").stdout
        self.assertEqual(answer, "10.77.0.60 refuses connections\n503")

    def test_mirror_dies(self) -> None:
        """A server that dies in the middle breaks the download, which is not taken for whole."""
        self.mirror()
        slow = self.slow_download()
        self.nginx.stop()
        self.assertNotEqual(slow.wait(60), 0)
        self.assertLess(self.memory(), 120)

    def memory(self) -> float:
        """MiB that the server holds for itself."""
        text = Path(f"/proc/{self.pybootd.program.pid}/smaps_rollup").read_text()
        return sum(int(kilobytes) for kilobytes in re.findall(r"Private_\w+: +(\d+)", text)) / 1024

    def test_cached(self) -> None:
        """With a cache many clients cause one download; later ones a question, and none while the server is away."""
        self.mirror(cache={"directory": "./cache", "size": "100M"})
        place = self.lab.directory("downloads")
        self.curl(
            *("-f", "--parallel", "--parallel-immediate", "--parallel-max", "20"),
            *("-o", place / "#1", f"{SERVER}/large?[1-20]"),
        )
        for file in place.iterdir():
            self.assertTrue(file.read_bytes() == self.large, file.name)
        self.assertEqual(self.asked(), ["200"])
        self.pybootd.restart()
        self.assertTrue(self.fetch("large") == self.large)
        self.assertEqual(self.asked(), ["200", "304"])
        self.nginx.stop()
        self.pybootd.restart()
        self.assertTrue(self.fetch("large") == self.large)

    def test_cache_resumed(self) -> None:
        """A download that a stop of the server broke off goes on where it ended, and arrives whole."""
        host, to = self.lab.segment.host("10.77.0.60/24"), self.lab.scratch / "broken"
        self.nginx = nginx(self.lab, host, self.root, port=8080, server="limit_rate 1m;")
        self.serve({"root": "http://10.77.0.60:8080/"}, cache={"directory": "./cache", "size": "100M"})
        self.client.start("curl", "-s", "-o", to, f"{SERVER}/large")
        until(lambda: to.exists() and to.stat().st_size > 1_500_000, 60, "the download has begun")
        self.pybootd.program.stop()
        self.nginx.stop()
        self.nginx = nginx(self.lab, host, self.root, port=8080)
        self.pybootd.restart()
        self.assertTrue(self.fetch("large") == self.large)
        self.assertEqual(self.asked(), ["206"])
