"""A network behind a relay agent (RFC 1542, RFC 3046)."""

from __future__ import annotations

from tests.e2e.support import trees
from tests.e2e.support.boots import BootTestCase
from tests.e2e.support.clients import Dhclient
from tests.e2e.support.machines import Firmware
from tests.e2e.support.servers import dhcrelay

FAR = {"subnet 10.78.0.0/24": {"pool_start": "10.78.0.50", "pool_count": 10, "gateway": "10.78.0.1"}}


class RelayTests(BootTestCase):
    """ISC's dhcrelay, which adds option 82, on a router between the machine's network and the server's."""

    needs = (*Firmware.BIOS.needs, *map(str, trees.NEEDED), "tshark", "dhcrelay", "dhclient")

    def test_boot(self) -> None:
        """A BIOS machine boots from the pool of its own network, with its own gateway, all files by routed TFTP."""
        self.serve({"bios": trees.pxelinux(self.root, self.token)}, FAR)
        far = self.lab.relayed()
        dhcrelay(far, self.SERVER)
        boot = self.switch_on(Firmware.BIOS, far)
        proof = self.check(boot, addresses=[f"10.78.0.{number}" for number in range(50, 60)])
        self.assertEqual((proof.router, proof.firmware), ("10.78.0.1", proof.address))
        offers = [reply for reply in boot.recorder.dhcp() if reply.kind == "OFFER"]
        self.assertEqual({reply.siaddr for reply in offers if reply.file}, {self.SERVER})

    def test_life(self) -> None:
        """An operating system behind the relay: new, renewed straight from the server, released."""
        self.serve({}, {**FAR, "bootpd": {"allow_simple_dhcp": True}})
        far = self.lab.relayed()
        dhcrelay(far, self.SERVER)
        client = Dhclient(self.lab, far.host())
        client.obtain()
        address = client.address
        self.assertIn(address, [f"10.78.0.{number}" for number in range(50, 60)])
        client.stop()
        client.obtain()
        self.assertEqual(client.address, address)
        client.release()
        self.pybootd.program.expect("(?i)release")
