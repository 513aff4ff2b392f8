"""What an existing C{pybootd.ini} is promised: C{[bootpd]} and its neighbours."""

from __future__ import annotations

import json
import time
from struct import pack

from tests.e2e.support.lab import until
from tests.e2e.support.seed import ANSWERED, DASHED, MAC, OTHER, PRINTED, SERVER, SeedTestCase
from tests.support.dhcp import BIOS, BROADCAST, RELEASE, SYSTEM, UEFI, datagram, number

LISTENER = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("10.77.0.9", 9999))
print("ready", flush=True)
while True:
    print(sock.recv(999).decode("ascii"), flush=True)
"""

HOOK = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    turned_away = False
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        status = 204 if Handler.turned_away else 503
        print("taken" if Handler.turned_away else "turned away", body, flush=True)
        Handler.turned_away = True
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *words):
        pass
server = http.server.ThreadingHTTPServer(("10.77.0.9", 8080), Handler)
print("ready", flush=True)
server.serve_forever()
"""


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
        (reply,) = self.ask(datagram(None, {}, mac=OTHER, flags=BROADCAST), seconds=ANSWERED)
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

    def test_spellings(self) -> None:
        """C{server_name}, C{netmask}, C{dns = auto}, C{gateway = none}, C{pool_end}; the domain is option 15 too."""
        resolver = self.lab.scratch / "resolv.conf"
        resolver.write_text("search example.org\nnameserver 10.77.0.8\nnameserver 10.77.0.9\n")
        changed = {
            "servername": None, "server_name": "deb", "netmask": "255.255.0.0", "dns": "auto", "gateway": "none",
            "pool_count": None, "pool_end": "10.77.0.101",
        }  # fmt: skip
        self.serve({"bootpd": changed}, mounts={"/etc/resolv.conf": resolver})
        ack = self.lease({**BIOS, 55: bytes((1, 3, 6, 15))})
        self.assertEqual(ack.sname.rstrip(b"\0"), b"deb.localdomain")
        wanted = {1: b"\xff\xff\0\0", 6: pack("!II", number("10.77.0.8"), number("10.77.0.9")), 15: b"localdomain"}
        self.assertEqual({code: ack.options.get(code) for code in (*wanted, 3)}, {**wanted, 3: None})
        self.lease(BIOS, OTHER)
        self.assertEqual(self.discover(BIOS, bytes.fromhex("5254000000ac")), [])

    def test_port(self) -> None:
        """C{port}: clients are at the port above it."""
        self.serve({"bootpd": {"port": 6767}}, port=6767)
        self.lease(BIOS)

    def test_address(self) -> None:
        """C{address} and C{interface}: broadcasts are heard all the same, and the answer comes from that address."""
        self.serve({"bootpd": {"address": SERVER, "interface": self.lab.segment.bridge}})
        self.assertEqual(self.lease(BIOS).options[54], pack("!I", number(SERVER)))

    def test_limited_broadcast(self) -> None:
        """Who cannot be reached by its address yet is answered at 255.255.255.255."""
        self.assertEqual(self.destinations({}), {MAC: "255.255.255.255", OTHER: "255.255.255.255"})

    def test_network_broadcast(self) -> None:
        """C{broadcast = network}: at the network's own broadcast address, but for C{[buggy_clients]}."""
        sections = {"bootpd": {"broadcast": "network"}, "buggy_clients": {DASHED: "on"}}
        self.assertEqual(self.destinations(sections), {MAC: "255.255.255.255", OTHER: "10.77.0.255"})

    def destinations(self, sections: dict[str, dict[str, object]]) -> dict[bytes, str]:
        """Where the answers to two clients go."""
        self.serve(sections)
        found = {}
        for mac in (MAC, OTHER):
            recorder = self.record()
            self.offer(BIOS, mac)
            found[mac] = next(reply.destination for reply in recorder.dhcp() if reply.kind == "OFFER")
        return found

    def test_boot_options(self) -> None:
        """Option 43 of the ROM's kind, 60, 66, 67 and 97 for whoever boots; 13 where asked: blocks of the boot file."""
        self.serve()
        (self.root / "pxelinux.0").write_bytes(bytes(1025))
        ack = self.lease({**BIOS, 55: bytes((1, 3, 13, 43, 60, 66, 67, 97))})
        told = {code: ack.options.get(code) for code in (13, 43, 60, 66, 67, 97)}
        wanted = {13: b"\0\3", 43: b"\6\1\x08\xff", 60: b"PXEClient", 66: SERVER.encode(), 67: b"pxelinux.0\0"}
        self.assertEqual(told, {**wanted, 97: BIOS[97]})

    def test_lease_ends(self) -> None:
        """An address stays its machine's for ever, also after the lease has ended."""
        self.lease_ends("never")
        self.assertEqual(self.discover(BIOS, OTHER), [])

    def test_reclaim(self) -> None:
        """C{reclaim = expired}: then it goes to the next machine that needs one."""
        self.lease_ends("expired")
        self.assertEqual(self.offer(BIOS, OTHER).yiaddr, number("10.77.0.100"))

    def lease_ends(self, reclaim: str) -> None:
        """The only address is leased, and the lease ends."""
        self.serve({"bootpd": {"lease_time": 1, "pool_count": 1, "reclaim": reclaim}})
        self.assertEqual(self.lease(BIOS).options[51], pack("!I", 1))
        time.sleep(2.5)  # the pool counts whole seconds

    def test_no_gateway(self) -> None:
        """C{set_gateway = no}: no option 3."""
        self.serve({"bootpd": {"set_gateway": "no"}})
        self.assertNotIn(3, self.lease(BIOS).options)

    def test_architectures(self) -> None:
        """Each architecture its file; one without an entry is not answered, and the log names what is missing."""
        self.serve()
        self.assertEqual(self.offer(UEFI).file.rstrip(b"\0"), b"boot.efi")
        self.assertEqual(self.discover({**UEFI, 93: b"\0\x0b"}), [])
        until(lambda: "arm64-uefi" in self.pybootd.log, 60, "the log names the entry")

    def test_notify(self) -> None:
        """UDP notifications: BOOT, LEASE and RELEASE with UUID, hardware address and IP address."""
        self.serve({"bootpd": {"notify": "10.77.0.9:9999;10.77.0.9:9998"}})
        listener = self.helper(LISTENER)
        self.lease(BIOS)
        self.lease(SYSTEM)
        self.ask(datagram(RELEASE, {54: pack("!I", number(SERVER))}, mac=MAC, ciaddr="10.77.0.100"), seconds=0.2)
        tail = f"{PRINTED.upper()},52:54:00:00:00:AA,10.77.0.100"
        wanted = ["ready", f"BOOT,{tail}", f"LEASE,{tail}", f"RELEASE,{tail}"]
        until(lambda: len(listener.output.split()) >= 4, 60, "four lines")
        self.assertEqual(listener.output.split(), wanted)

    def test_webhook(self) -> None:
        """C{[webhook]}: the same as JSON, sent again where the web server could not take it."""
        self.serve({"webhook": {"url": "http://10.77.0.9:8080/hook", "events": "leased; released"}})
        server = self.helper(HOOK)
        self.lease(BIOS)
        self.ask(datagram(RELEASE, {54: pack("!I", number(SERVER))}, mac=MAC, ciaddr="10.77.0.100"), seconds=0.2)
        until(lambda: '"released"' in server.output.rpartition("taken")[2], 60, "both are told")
        bodies = [line.removeprefix("taken ") for line in server.output.splitlines() if line.startswith("taken ")]
        told = [event for body in bodies for event in json.loads(body)["events"]]
        self.assertEqual([one["event"] for one in told], ["leased", "released"])
        self.assertEqual((told[0]["mac"], told[0]["address"]), (MAC.hex(":"), "10.77.0.100"))
        self.assertIn("turned away", server.output)

    def test_static(self) -> None:
        """C{[static_dhcp]}: its own address, outside the pool; C{pool_count = 0} serves nobody else."""
        self.serve({"bootpd": {"pool_count": 0}, "static_dhcp": {DASHED: "10.77.0.50"}})
        self.assertEqual(self.lease(BIOS).yiaddr, number("10.77.0.50"))
        self.assertEqual(self.discover(BIOS, OTHER), [])
