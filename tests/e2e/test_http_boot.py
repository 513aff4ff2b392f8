"""UEFI HTTP boot: the firmware loads its boot file by HTTP, from our own server."""

from __future__ import annotations

from tests.e2e.support import trees
from tests.e2e.support.boots import BootTestCase
from tests.e2e.support.machines import Firmware


class HttpBootTests(BootTestCase):
    """OVMF whose card boots by HTTP."""

    needs = (*Firmware.UEFI_HTTP.needs, *map(str, trees.NEEDED), "tshark")

    def test_image(self) -> None:
        """A URL in C{[bootfile]}, one EFI image."""
        image = trees.one_image(self.root, self.token)
        self.serve({"x64-uefi-http": f"http://{self.SERVER}/{image}"}, http=True)
        self.boot(Firmware.UEFI_HTTP)

    def test_bare_name(self) -> None:
        """A bare name in C{[bootfile]} becomes a URL of our own HTTP server."""
        image = trees.one_image(self.root, self.token)
        self.serve({"x64-uefi-http": image}, http=True)
        self.boot(Firmware.UEFI_HTTP)
