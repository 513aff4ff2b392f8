"""C{script/server} without a word: on any network, a PC beside it boots the Debian installer."""

from __future__ import annotations

import re
from pathlib import Path

from pybootd.config import Config
from pybootd.config.reader import read
from tests.e2e.support import debian
from tests.e2e.support.boots import BOOT_TIME, Boot, BootTestCase
from tests.e2e.support.machines import Firmware
from tests.e2e.support.servers import dnsmasq, mounting, nginx, ready
from tests.e2e.test_installer import PACKAGE, TREE

ROOT = Path(__file__).resolve().parents[2]
ROUTER, MIRROR = "10.77.0.3", "10.77.0.4"
POOL = [f"10.77.0.{number}" for number in range(150, 160)]


class DefaultTests(BootTestCase):
    """A network with a router that gives the addresses, and a way to the mirror."""

    needs = (*Firmware.BIOS.needs, "nginx", "dnsmasq", "tshark")

    def setUp(self) -> None:
        """The router, the mirror of the configuration as it stands in conf/, and the server."""
        super().setUp()
        config: Config = read((ROOT / "conf/proxy.ini").read_bytes(), directory=ROOT)
        host, path = re.fullmatch("http://([^/]+)/(.*)", config.tftpd.root).groups()
        mirror = self.lab.directory("mirror")
        (mirror / path).parent.mkdir(parents=True)
        (mirror / path).symlink_to(debian.unpacked(PACKAGE) / TREE)
        self.web = nginx(self.lab, self.lab.segment.host(f"{MIRROR}/24"), mirror)
        router = self.lab.segment.host(f"{ROUTER}/24")
        pool, names = f"dhcp-range={POOL[0]},{POOL[-1]}", f"address=/{host}/{MIRROR}"
        dnsmasq(self.lab, router, "eth0", pool, names, dns=True)
        self.lab.server.ip("link", "add", "other0", "type", "bridge")
        self.lab.server.ip("address", "add", "10.99.0.1/24", "dev", "other0")
        self.lab.server.ip("link", "set", "other0", "up")
        self.lab.server.ip("route", "add", "default", "via", ROUTER)
        resolver = self.lab.scratch / "resolv.conf"
        resolver.write_text(f"nameserver {ROUTER}\n")
        shell = ["sh", "-c", mounting({"/etc/resolv.conf": resolver}), "sh"]
        self.daemon = self.lab.server.start(*shell, ROOT / "script/server", directory=self.lab.scratch)
        ready(self.lab.server, self.daemon, [("udp", 67), ("udp", 69), ("udp", 4011)])

    def finish(self, boot: Boot) -> None:
        """No address came from us, tshark has nothing to complain of, and nothing went wrong."""
        replies = boot.recorder.dhcp()
        ours = [reply for reply in replies if reply.source == self.SERVER]
        self.assertTrue(ours)
        self.assertEqual({reply.yiaddr for reply in ours}, {"0.0.0.0"})
        self.assertEqual(boot.recorder.complaints(self.SERVER), [])
        self.assertNotIn("Traceback", self.daemon.output)
        self.assertNotIn("other0", self.daemon.output)

    def test_rom(self) -> None:
        """A PXE ROM: pxelinux and the installer's menu from the mirror, by TFTP; the installer gets its address."""
        boot = self.switch_on(Firmware.BIOS, memory=1024)
        console = boot.machine.console
        console.expect("Ctrl-B for the iPXE command line")
        console.insist(b"\x02", "iPXE>")
        console.send(b"set user-class ROM\r")  # the emulated card's ROM is an iPXE, and would be known as such
        console.expect("iPXE>")
        console.send(b"autoboot\r")
        console.expect("Debian GNU/Linux installer menu")
        console.expect("Help")
        console.send(b"\x1b")
        console.expect("boot:")
        self.type(console, "install vga=normal console=ttyS0 DEBIAN_FRONTEND=text auto=true priority=critical")
        console.expect("Configuring the network with DHCP", BOOT_TIME)
        self.finish(boot)

    def test_ipxe(self) -> None:
        """iPXE: our script, then kernel and initial file system from the mirror itself."""
        boot = self.switch_on(Firmware.BIOS, memory=1024)
        self.web.expect("GET .*/linux .* 200", 90)
        self.web.expect("GET .*/initrd.gz .* 200", 90)
        boot.machine.console.expect("debian.ipxe.* ok")
        self.finish(boot)
