"""The original's headline: a Debian installer boots whose files are on a web server elsewhere, and none here."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.support import debian
from tests.e2e.support.boots import BOOT_TIME, BootTestCase
from tests.e2e.support.machines import Firmware
from tests.e2e.support.servers import nginx

MIRROR = "10.77.0.3"
PACKAGE = "debian-installer-12-netboot-amd64"
TREE = "usr/lib/debian-installer/images/12/amd64/text"


class InstallerTests(BootTestCase):
    """Debian's own netboot tree, unchanged, on an nginx in another namespace."""

    needs = (*Firmware.BIOS.needs, "nginx", "tshark")

    def test_bios(self) -> None:
        """
        pxelinux, its menu, kernel and initial file system come from the remote tree through pybootd; the installer
        itself then gets the same address and fetches its answers, through pybootd again.
        """
        remote = self.lab.directory("mirror")
        (remote / "netboot").symlink_to(debian.unpacked(PACKAGE) / TREE)
        (remote / f"answers-{self.token}.cfg").write_text("d-i debian-installer/locale string en_US\n")
        mirror = self.lab.segment.host(f"{MIRROR}/24")
        web = nginx(self.lab, mirror, remote)
        self.serve(
            {"bios": "pxelinux.0"},
            {
                "bootpd": {"domain": "example.org"},
                "tftpd": {"root": f"http://{MIRROR}/netboot"},
                "httpd": {"root": f"http://{MIRROR}/"},
            },
            http=True,
        )
        boot = self.switch_on(Firmware.BIOS, memory=1024)
        console = boot.machine.console
        console.expect("Debian GNU/Linux installer menu")
        console.expect("Help")
        console.send(b"\x1b")
        console.expect("boot:")
        answers = f"http://{self.SERVER}/answers-{self.token}.cfg"
        words = f"vga=normal console=ttyS0 DEBIAN_FRONTEND=text auto=true priority=critical hostname=new url={answers}"
        self.type(console, f"install {words}")
        console.expect("Configuring the network with DHCP", BOOT_TIME)
        web.expect(f"GET /answers-{self.token}.cfg")
        replies = boot.recorder.dhcp()
        given = {reply.yiaddr for reply in replies if reply.kind == "ACK"}
        self.assertEqual(len(given), 1, replies)
        self.assertEqual(boot.recorder.complaints(self.SERVER), [])
        self.assertEqual(self.files_of_the_daemon(), [])
        self.assertNotIn("Traceback", self.pybootd.log)

    def files_of_the_daemon(self) -> list[Path]:
        """What it has in its directory beside its configuration and its leases."""
        ours = ("pybootd.ini", "pybootd.leases")
        return [path for path in self.pybootd.directory.rglob("*") if not path.name.startswith(ours)]
