"""What files are for, by their names."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.status.roles import FILE, INITRD, KERNEL, LOADER, configures, role_of

ROWS = (
    ("pxelinux.0", False, LOADER),
    ("pxelinux.0", True, LOADER),
    ("EFI\\boot\\grubx64.efi", True, FILE),
    ("ipxe.efi", False, LOADER),
    ("debian/linux", True, KERNEL),
    ("vmlinuz-6.1.0-18-amd64", True, KERNEL),
    ("/images/bzImage", True, KERNEL),
    ("kernel8.img", True, KERNEL),
    ("initrd.gz", True, INITRD),
    ("initramfs-linux.img", True, INITRD),
    ("sources/boot.wim", True, INITRD),
    ("alpine.squashfs?x=1", True, INITRD),
    ("pxelinux.cfg/default", True, FILE),
    ("config.txt", False, FILE),
    ("ldlinux.c32", False, FILE),
    ("linux.efi", False, LOADER),
)


class RoleTests(SynchronousTestCase):
    """The table of roles."""

    def test_rows(self) -> None:
        """Each name as honest machines ask for it."""
        for name, loaded, role in ROWS:
            self.assertEqual(role_of(name, "pxelinux.0", loaded), role, name)

    def test_told(self) -> None:
        """What the machine was told to load is its loader, whatever its name and way."""
        self.assertEqual(role_of("/x/vmlinuz", "http://10.0.0.1/vmlinuz", True), LOADER)

    def test_configurations(self) -> None:
        """Files that tell a loader what to do."""
        for name in ("pxelinux.cfg/01-52-54-00-12-34-56", "/grub/grub.cfg", "boot.ipxe?mac=1", "config.txt"):
            self.assertTrue(configures(name), name)
        for name in ("pxelinux.0", "ldlinux.c32", "unicode.pf2", "vmlinuz"):
            self.assertFalse(configures(name), name)
