"""The next boot of one machine: C{pybootd boot} beside a running daemon, a machine that boots twice, Wake-on-LAN."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from pybootd.dhcp.packet import Packet, decode
from pybootd.net.wake import magic
from tests.e2e.support import trees
from tests.e2e.support.boots import BootTestCase
from tests.e2e.support.lab import Namespace, until
from tests.e2e.support.machines import Firmware
from tests.support.dhcp import BIOS, DISCOVER, REQUEST, datagram

TOP = Path(__file__).resolve().parents[2]
MAC = bytes.fromhex("525400123401")
LISTEN = (
    "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x800)); s.bind(('eth0', 0x800));"
    "print('ready', flush=True)\nwhile True: print(s.recv(2000).hex(), flush=True)"
)


class NextBootTests(BootTestCase):
    """A running daemon, and orders."""

    needs = (*Firmware.BIOS.needs, *map(str, trees.NEEDED), "tshark")

    def command(self, *words: str) -> str:
        """C{pybootd boot} in the daemon's directory: what it says."""
        daemon = self.pybootd
        command = (sys.executable, "-m", "pybootd", "boot", "-c", daemon.configuration, *words)
        return self.lab.server.run(*command, directory=daemon.directory).stdout

    def ask(self, host: Namespace, data: bytes) -> Packet:
        """What a client's datagram is answered."""
        words = (sys.executable, "-m", "tests.e2e.support.asker", "eth0", "30", "67", data.hex())
        (answer,) = host.run(*words, directory=TOP).stdout.split()
        return decode(bytes.fromhex(answer))

    def told(self, host: Namespace, xid: int) -> str:
        """The boot file that a ROM is told in the end, after DISCOVER and REQUEST."""
        offer = self.ask(host, datagram(DISCOVER, BIOS, mac=MAC, xid=xid, flags=0x8000))
        chosen = {**BIOS, 50: offer.yiaddr.to_bytes(4, "big"), 54: offer.options[54]}
        ack = self.ask(host, datagram(REQUEST, chosen, mac=MAC, xid=xid, flags=0x8000))
        self.assertEqual(ack.file, offer.file)
        return ack.file.rstrip(b"\0").decode()

    def test_machine(self) -> None:
        """A machine boots the rescue system once, and its usual one the next time."""
        usual, self.token = self.token, secrets.token_hex(8)
        url = f"http://{self.SERVER}/"
        (self.root / trees.ipxe(self.root, self.token, url)).rename(self.root / "rescue.ipxe")
        script = trees.ipxe(self.root, usual, url)
        self.serve({"bios": "undionly.kpxe", "ipxe": f"{url}{script}"}, http=True)
        self.assertIn("boots rescue.ipxe the next time", self.command("52-54-00-12-34-01", "rescue.ipxe", "--once"))
        boot = self.switch_on(Firmware.BIOS)
        self.check(boot)
        boot.machine.off()
        self.assertIn("52:54:00:12:34:01 boots rescue.ipxe, this time only", self.pybootd.log)
        self.assertEqual(self.command(), "")
        self.token = usual
        self.boot(Firmware.BIOS)

    def test_daemon_without_privileges(self) -> None:
        """Root gives the order, the daemon, which is nobody by then, carries it out and takes it away."""
        (self.root / "rescue.0").write_text("x")
        self.serve({"bios": "pxelinux.0"}, twistd=("-n", "--pidfile=", "--uid", "nobody", "--gid", "nogroup"))
        client = self.lab.segment.host("10.77.0.50/24")
        self.assertEqual(self.told(client, 1), "pxelinux.0")
        self.command("52:54:00:12:34:01", "rescue.0", "--once")
        self.assertIn("52:54:00:12:34:01  rescue.0  since ", self.command())
        self.assertEqual(self.told(client, 2), "rescue.0")
        self.assertEqual(self.command(), "")
        self.assertEqual(self.told(client, 3), "pxelinux.0")

    def test_kept(self) -> None:
        """An order outlives the daemon; one that was taken back is none."""
        self.serve({"bios": "pxelinux.0"})
        client = self.lab.segment.host("10.77.0.50/24")
        self.command("52-54-00-12-34-01", "http://10.77.0.1/rescue.ipxe", "--once")
        self.assertEqual(self.told(client, 1), "pxelinux.0", "a ROM cannot use a URL")
        self.command("52-54-00-12-34-01", "rescue.0", "--once")
        self.pybootd.restart()
        self.assertEqual(self.told(client, 2), "rescue.0")
        self.command("52-54-00-12-34-01", "rescue.0", "--once")
        self.assertIn("boots as usual", self.command("52-54-00-12-34-01", "--cancel"))
        self.assertEqual(self.told(client, 3), "pxelinux.0")

    def test_wake(self) -> None:
        """The magic packet arrives at the machine's network card, which needs no address for it."""
        self.serve({"bios": "pxelinux.0"})
        host = self.lab.segment.host(mac="52:54:00:12:34:01")
        listener = host.start("python3", "-c", LISTEN)
        listener.expect("ready")
        said = self.command("52-54-00-12-34-01", "pxelinux.0", "--once", "--wake")
        self.assertIn("52:54:00:12:34:01 is woken by br0", said)
        until(lambda: magic(MAC).hex() in listener.output, 60, "the magic packet arrives")
