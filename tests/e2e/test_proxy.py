"""proxyDHCP: boot information beside a DHCP server that is not ours (PXE 2.1, 2.2.3)."""

from __future__ import annotations

from tests.e2e.support import trees
from tests.e2e.support.boots import Boot, BootTestCase
from tests.e2e.support.clients import Udhcpc
from tests.e2e.support.machines import Firmware
from tests.e2e.support.servers import dnsmasq

OTHER = "10.77.0.3"
"""The foreign DHCP server."""
POOL = [f"10.77.0.{number}" for number in range(150, 160)]


class ProxyTests(BootTestCase):
    """dnsmasq hands out the addresses, and knows nothing of booting."""

    needs = (*Firmware.UEFI.needs, *Firmware.BIOS.needs, *map(str, trees.NEEDED), "tshark", "dnsmasq", "udhcpc")

    def beside(self, bootfile: dict[str, str], *, http: bool = False) -> None:
        """Start dnsmasq on a host of its own, and pybootd as a proxy."""
        other = self.lab.segment.host(f"{OTHER}/24")
        dnsmasq(self.lab, other, "eth0", f"dhcp-range={POOL[0]},{POOL[-1]}", "dhcp-ignore-clid", "dhcp-authoritative")
        self.serve(bootfile, {"bootpd": {"mode": "proxy", "interface": "br0"}}, http=http)
        self.assertTrue(self.lab.server.listening("udp", 4011))

    def check_proxy(self, boot: Boot) -> None:
        """The payload has proved itself, and pybootd has given no address."""
        self.check(boot, addresses=POOL)
        ours = [reply for reply in boot.recorder.dhcp() if reply.source == self.SERVER]
        self.assertEqual({reply.yiaddr for reply in ours}, {"0.0.0.0"})

    def test_bios(self) -> None:
        """A BIOS machine: pxelinux, kernel and initial file system from us, its address from the other."""
        self.beside({"bios": trees.pxelinux(self.root, self.token)})
        self.check_proxy(self.switch_on(Firmware.BIOS))

    def test_uefi(self) -> None:
        """A UEFI machine: one EFI image, for GRUB would ask the other server for its configuration."""
        self.beside({"x64-uefi": trees.one_image(self.root, self.token)})
        self.check_proxy(self.switch_on(Firmware.UEFI))

    def test_ipxe(self) -> None:
        """iPXE, loaded by UEFI, is told its script by us."""
        script = trees.ipxe(self.root, self.token, f"http://{self.SERVER}/")
        self.beside({"x64-uefi": "snponly.efi", "ipxe": f"http://{self.SERVER}/{script}"}, http=True)
        self.check_proxy(self.switch_on(Firmware.UEFI))

    def test_http_boot(self) -> None:
        """UEFI HTTP boot: the URL from us, the address from the other."""
        self.beside({"x64-uefi-http": trees.one_image(self.root, self.token)}, http=True)
        self.check_proxy(self.switch_on(Firmware.UEFI_HTTP))

    def test_system(self) -> None:
        """A client that does not boot gets its address from the other server, and no word from us."""
        self.beside({"bios": "pxelinux.0"})
        client = Udhcpc(self.lab, self.lab.segment.host())
        client.obtain()
        self.assertIn(client.address, POOL)
        self.assertEqual(client.told[-1]["serverid"], OTHER)
        self.assertEqual(client.told[-1].get("boot_file", ""), "")
