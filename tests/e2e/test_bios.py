"""BIOS machines: the card's boot ROM, pxelinux, iPXE."""

from __future__ import annotations

from tests.e2e.support import trees
from tests.e2e.support.boots import BootTestCase
from tests.e2e.support.machines import Firmware


class BiosTests(BootTestCase):
    """SeaBIOS, and the boot ROM of an emulated network card (which is an iPXE)."""

    needs = (*Firmware.BIOS.needs, *map(str, trees.NEEDED), "tshark")

    def test_pxelinux(self) -> None:
        """
        PXE ROM, pxelinux, kernel and initial file system over TFTP: the system gets the firmware's address, for what is
        left of the firmware's lease.
        """
        self.serve({"bios": trees.pxelinux(self.root, self.token)})
        proof = self.boot(Firmware.BIOS)
        self.assertEqual(proof.firmware, proof.address)
        self.assertEqual((proof.router, proof.dns), (self.SERVER, self.SERVER))
        self.assertEqual(proof.lease, str(86400 - 86400 // 64))

    def test_lpxelinux(self) -> None:
        """pxelinux with HTTP in it: everything after the loader comes by HTTP."""
        loader = trees.pxelinux(self.root, self.token, loader="lpxelinux.0")
        configuration = self.root / "pxelinux.cfg/default"
        by_http = configuration.read_text().replace("KERNEL ", f"KERNEL http://{self.SERVER}/")
        configuration.write_text(by_http.replace("INITRD ", f"INITRD http://{self.SERVER}/"))
        self.serve({"bios": loader}, http=True)
        self.boot(Firmware.BIOS)

    def test_script(self) -> None:
        """An iPXE in the card gets the script that C{ipxe =} names, straight away and over HTTP."""
        script = trees.ipxe(self.root, self.token, f"http://{self.SERVER}/")
        self.serve({"bios": "undionly.kpxe", "ipxe": f"http://{self.SERVER}/{script}"}, http=True)
        proof = self.boot(Firmware.BIOS)
        self.assertEqual(proof.firmware, proof.address)
        self.assertNotIn("undionly", self.pybootd.log)

    def test_chain(self) -> None:
        """
        A ROM that does not say that it is an iPXE gets C{undionly.kpxe} by TFTP, and that one the script: no loop.

        Its owner has given it another user class; it sends option 175 all the same.
        """
        script = trees.ipxe(self.root, self.token, f"http://{self.SERVER}/")
        self.serve({"bios": "undionly.kpxe", "ipxe": f"http://{self.SERVER}/{script}"}, http=True)
        boot = self.switch_on(Firmware.BIOS)
        console = boot.machine.console
        console.expect("Ctrl-B for the iPXE command line")
        console.insist(b"\x02", "iPXE>")
        console.send(b"set user-class ROM\r")
        console.expect("iPXE>")
        console.send(b"autoboot\r")
        console.expect("undionly.kpxe")
        proof = self.check(boot)
        self.assertEqual(proof.firmware, proof.address)
