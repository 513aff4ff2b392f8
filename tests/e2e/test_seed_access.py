"""What an existing C{pybootd.ini} is promised: who may boot."""

from __future__ import annotations

import sys
from struct import pack

from tests.e2e.support.lab import until
from tests.e2e.support.program import Program
from tests.e2e.support.seed import DASHED, MAC, OTHER, PRINTED, ROOT, SERVER, SeedTestCase
from tests.support.dhcp import BIOS, BROADCAST, DISCOVER, REQUEST, SYSTEM, UUID, datagram, number

FREE = bytes.fromhex("525400000099")

ACCESS = """
import http.server, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked", self.path, flush=True)
        status = int(sys.argv[1])
        time.sleep(float(sys.argv[2]))
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


class AccessTests(SeedTestCase):
    """C{access}: who is served."""

    needs = ("atftp", "curl")

    def test_mac(self) -> None:
        """Unknown machines are refused, masks count from the left, the longest decides."""
        self.serve({"bootpd": {"access": "mac"}, "mac": {"52-54-00/24": "enable", DASHED: "off"}})
        self.assertEqual(self.discover(BIOS), [])
        self.offer(BIOS, OTHER)
        self.assertEqual(self.discover(BIOS, bytes.fromhex("5255000000ab")), [])

    def test_mac_mask(self) -> None:
        """A mask is the number of leading bits, whichever it is."""
        self.serve({"bootpd": {"access": "mac"}, "mac": {"52-54-00-00-00-A8/47": "1"}})
        self.offer(BIOS, MAC[:5] + b"\xa9")
        self.assertEqual(self.discover(BIOS, MAC[:5] + b"\xaa"), [])

    def test_static(self) -> None:
        """C{[static_dhcp]} allows, unless C{[mac]} says otherwise."""
        colons = OTHER.hex(":")
        static = {DASHED: "10.77.0.50", colons: "10.77.0.51"}
        self.serve({"bootpd": {"access": "mac"}, "static_dhcp": static, "mac": {colons: "disable"}})
        self.assertEqual(self.lease(BIOS).yiaddr, number("10.77.0.50"))
        self.assertEqual(self.discover(BIOS, OTHER), [])

    def test_several(self) -> None:
        """Several backends must agree, and the log names the line of the one that does not."""
        lists = {"mac": {"52-54-00/24": "yes"}, "uuid": {PRINTED[:8] + "/32": "yes"}}
        self.serve({"bootpd": {"access": "mac; uuid"}, **lists})
        self.offer(BIOS)
        self.assertEqual(self.discover({**BIOS, 97: b"\0" + UUID[::-1]}, OTHER), [])
        self.assertEqual(self.discover(BIOS, bytes.fromhex("5255000000ab")), [])
        until(lambda: "52:55:00:00:00:ab DISCOVER ignored" in self.pybootd.log, 60, "the refusal is in the log")

    def test_uuid(self) -> None:
        """The UUID as it is printed; the operating system, which does not send it, is remembered by the boot."""
        self.serve({"bootpd": {"access": "uuid"}, "uuid": {PRINTED.upper(): "enable"}})
        first = self.lease(BIOS)
        self.assertEqual(self.lease(SYSTEM).yiaddr, first.yiaddr)
        other = {**BIOS, 97: b"\0" + UUID[::-1]}
        self.assertEqual(self.discover(other, OTHER), [])

    def http(self, status: int, wait: float = 0, **options: object) -> Program:
        """
        A daemon that asks a web server which always answers so.

        @param wait: seconds that the web server takes.
        @param options: of C{[http]}.
        """
        section = {"location": "http://10.77.0.9:8080", "pxe": "/boot", "dhcp": "/linux", **options}
        allowed = {"allow": "yes"}  # this machine needs nobody's word
        sections = {"bootpd": {"access": "http", "timeout": 20}, "http": section, f"host {FREE.hex(':')}": allowed}
        self.serve(sections)
        return self.helper(ACCESS, str(status), str(wait))

    def asked(self, server: Program) -> list[str]:
        """The targets that the web server was asked for."""
        return [line.split()[1] for line in server.output.splitlines() if line.startswith("asked")]

    def test_http_grants(self) -> None:
        """200 grants; each stage has its path; the body names host and boot file."""
        server = self.http(200)
        ack = self.lease(BIOS)
        self.lease(SYSTEM)
        self.assertEqual(ack.options[67], b"named.0\0")
        asked = self.asked(server)
        self.assertEqual({path.partition("?")[0] for path in asked}, {"/boot", "/linux"})
        for path in asked:
            self.assertIn(f"mac={DASHED}", path)
            self.assertIn(PRINTED, path.lower())

    def test_http_ignores(self) -> None:
        """401 ignores the machine, and the log says who said so."""
        self.http(401)
        self.assertEqual(self.discover(BIOS), [])
        until(lambda: "401" in self.pybootd.log, 60, "the log says 401")

    def test_http_redirects(self) -> None:
        """A redirect is no grant and is not followed; nor is any other answer a grant."""
        server = self.http(302)
        self.assertEqual(self.discover(BIOS), [])
        self.assertNotIn("/else", server.output)

    def test_http_slow(self) -> None:
        """After C{timeout} it counts as a refusal, in either section; other machines are answered meanwhile."""
        self.http(200, 60, timeout=4, location="10.77.0.9:8080")
        questions = [datagram(DISCOVER, BIOS, mac=mac, flags=BROADCAST) for mac in (MAC, FREE)]
        (answer,) = self.ask(*questions, seconds=1)
        self.assertEqual(answer.chaddr, FREE)
        refusal = f"{MAC.hex(':')} DISCOVER ignored"
        until(lambda: refusal in self.pybootd.log, 60, "the refusal is in the log")
        self.assertIn(f"{FREE.hex(':')} offered", self.pybootd.log.partition(refusal)[0])

    def test_http_once(self) -> None:
        """Questions about one machine are asked once while the answer is awaited, and not again in the same stage."""
        server = self.http(200, 0.7)
        again = [datagram(DISCOVER, BIOS, mac=MAC, flags=BROADCAST)] * 3
        self.ask(*again, seconds=0.15)
        until(lambda: f"{MAC.hex(':')} offered" in self.pybootd.log, 30, "the first question is answered")
        self.offer(BIOS)
        self.assertEqual(len(self.asked(server)), 1)

    def test_http_always(self) -> None:
        """C{always_check = yes} asks for each request."""
        server = self.http(200, always_check="yes")
        self.lease(BIOS)
        self.assertEqual(len(self.asked(server)), 2)

    def test_httptestd(self) -> None:
        """The test server that comes with pybootd, and its configuration, as they are."""
        self.serve(
            {"bootpd": {"access": "http"}, "http": {"location": "127.0.0.1:8080", "pxe": "/boot", "dhcp": "/linux"}}
        )
        server = self.lab.server.start(sys.executable, ROOT / "tests/httptestd.py")
        until(lambda: self.lab.server.listening("tcp", 8080), 60, "it listens")
        granted = bytes.fromhex("aabbccddeeff")
        ack = self.lease({**BIOS, 55: bytes((1, 3, 12))}, granted)
        self.assertEqual((ack.options[67], ack.options[12]), (b"pxelinux.0\0", b"node-7"))
        self.lease(SYSTEM, granted)
        self.assertEqual(self.discover(BIOS), [])
        for word in ("/boot", "/linux", "200", "401"):
            self.assertIn(word, server.output)

    def test_told(self) -> None:
        """A machine that is refused, and has its address from another server, is told why when it asks for files."""
        pool = dict.fromkeys(("pool_start", "pool_count"))
        sections = {"bootpd": {"mode": "proxy", "access": "mac", **pool}, "mac": {DASHED: "no"}}
        self.serve({**sections, "httpd": {"enable": "yes", "check_ip": "no"}})
        (self.root / "pxelinux.0").write_text("loader")
        self.assertEqual(self.tftp("pxelinux.0"), b"loader")
        chosen = {**BIOS, 50: pack("!I", number("10.77.0.9")), 54: pack("!I", number("10.77.0.8"))}
        self.ask(datagram(DISCOVER, BIOS, mac=MAC), datagram(REQUEST, chosen, mac=MAC), seconds=0.2)
        done = self.client.run("atftp", "--get", "-r", "pxelinux.0", "-l", "/dev/null", SERVER, check=False)
        self.assertIn("[mac]", done.stdout + done.stderr)
        curl = ["curl", "-s", "-w", " %{http_code}", f"http://{SERVER}/pxelinux.0"]
        self.assertRegex(self.client.run(*curl).stdout, r"\[mac\].*\n 403$")
        self.assertRegex(self.client.run(*curl, "-A", "iPXE/1.0").stdout, r"(?s)^#!ipxe.*\necho .*\[mac\].* 200$")
        for what in ("pxelinux.0", "HTTP /pxelinux.0"):
            self.pybootd.program.expect(rf"{MAC.hex(':')} {what} refused.*pybootd.ini:\d+: \[mac\]")

    def test_http_down(self) -> None:
        """Nobody there: nobody is let in."""
        self.serve({"bootpd": {"access": "http"}, "http": {"location": "http://10.77.0.9:8080", "pxe": "/boot"}})
        self.assertEqual(self.discover(BIOS), [])
