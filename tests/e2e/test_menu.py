"""Boot menus on a machine's own screen."""

from __future__ import annotations

from tests.e2e.support import trees
from tests.e2e.support.boots import BootTestCase
from tests.e2e.support.machines import Firmware

DOWN, F8 = b"\x1b[B", b"\x1b[19~"


class MenuTests(BootTestCase):
    """C{[menu]}: what is chosen is loaded."""

    needs = (*Firmware.BIOS.needs, *Firmware.UEFI.needs, *map(str, trees.NEEDED), "tshark")

    def test_bios(self) -> None:
        """The card's ROM waits, shows the menu, and boots the second line."""
        loader = trees.pxelinux(self.root, self.token)
        menu = {"prompt": "Press F8 for ours", "timeout": 30, "Nothing here": "nothing.0", "Our system": loader}
        self.serve({"bios": "wrong.0"}, {"menu": menu})
        boot = self.switch_on(Firmware.BIOS)
        console = boot.machine.console
        console.expect("Press F8 for ours")
        console.send(F8, pause=0)  # one key
        console.expect("Our system")
        console.send(DOWN, pause=0)
        console.send(b"\r")
        self.check(boot)

    def test_uefi(self) -> None:
        """EDK2 shows the prompt, and takes the first line when nobody presses a key."""
        loader = trees.grub(self.root, self.token)
        menu = {"prompt": "Press F8 for ours", "timeout": 1, "Our system": loader, "Nothing here": "nothing.efi"}
        self.serve({"x64-uefi": "wrong.efi"}, {"menu x64-uefi": menu})
        boot = self.switch_on(Firmware.UEFI)
        boot.machine.console.expect("Press F8 for ours")
        self.check(boot)
