"""UEFI machines that boot by PXE: GRUB, iPXE, one EFI image, Secure Boot; x64 and arm64."""

from __future__ import annotations

import hashlib
import secrets

from tests.e2e.support import trees
from tests.e2e.support.boots import BootTestCase
from tests.e2e.support.machines import Firmware


class UefiTests(BootTestCase):
    """OVMF's own network driver and PXE client."""

    needs = (*Firmware.UEFI.needs, *map(str, trees.NEEDED), "tshark")

    def test_grub(self) -> None:
        """GRUB as Debian signs it, kernel and initial file system over TFTP."""
        self.serve({"x64-uefi": trees.grub(self.root, self.token)})
        proof = self.boot(Firmware.UEFI)
        self.assertEqual(proof.firmware, proof.address)

    def test_ipxe(self) -> None:
        """C{snponly.efi} by TFTP, then script, kernel and initial file system by HTTP."""
        script = trees.ipxe(self.root, self.token, f"http://{self.SERVER}/")
        self.serve({"x64-uefi": "snponly.efi", "ipxe": f"http://{self.SERVER}/{script}"}, http=True)
        proof = self.boot(Firmware.UEFI)
        self.assertEqual(proof.firmware, proof.address)

    def test_image(self) -> None:
        """One EFI image over TFTP; the system then fetches files over TFTP and HTTP, and they are intact."""
        content = secrets.token_bytes(3_000_000)
        (self.root / "some file").write_bytes(content)
        words = {"tftp": "/some", "http": f"http://{self.SERVER}/some%20file"}
        image = trees.one_image(self.root, self.token, **words)
        (self.root / "some").write_bytes(content)
        self.serve({"x64-uefi": image}, http=True)
        proof = self.boot(Firmware.UEFI)
        digest = hashlib.sha256(content).hexdigest()
        self.assertEqual((proof.tftp, proof.http), (digest, digest))


class SecureBootTests(BootTestCase):
    """OVMF that starts nothing but what Microsoft's or Debian's key has signed."""

    needs = (*Firmware.SECURE.needs, *map(str, trees.NEEDED), "tshark")

    def test_shim(self) -> None:
        """shim finds GRUB beside itself on the server, and GRUB the kernel."""
        self.serve({"x64-uefi": trees.shim(self.root, self.token)})
        proof = self.boot(Firmware.SECURE)
        self.assertEqual(proof.firmware, proof.address)

    def test_shim_in_directory(self) -> None:
        """shim looks for GRUB in its own directory, which it reads from the header's C{file} field."""
        below = self.root / "debian"
        below.mkdir()
        shim = trees.shim(self.root, self.token)
        for name in (shim, "grubx64.efi"):
            (self.root / name).rename(below / name)
        self.serve({"x64-uefi": f"debian/{shim}"})
        self.boot(Firmware.SECURE)


class ArmTests(BootTestCase):
    """AAVMF on an emulated arm64 board."""

    needs = (*Firmware.ARM64.needs, "tshark")

    def test_grub(self) -> None:
        """arm64 firmware gets the file of its own architecture: GRUB, kernel and initial file system over TFTP."""
        self.serve({"x64-uefi": "wrong.efi", "arm64-uefi": trees.grub(self.root, self.token, "arm64")})
        proof = self.boot(Firmware.ARM64)
        self.assertEqual(proof.firmware, proof.address)
