"""C{pybootd explain}: one client, offline."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd import here
from pybootd.cli import main
from pybootd.orders import OrderBook
from tests.support.dhcp import HOSTS
from tests.support.programs import ARM64, X64, efi

BASE = "[bootpd]\npool_start = 10.0.0.100\n{}[bootfile]\nx64-uefi = grub.efi\n[tftpd]\nroot = /srv\n"


class ExplainTests(SynchronousTestCase):
    """On a host with the network 10.0.0.0/24."""

    def explained(self, *words: str, extra: str = "") -> tuple[int, list[str]]:
        """Exit status, and the lines on standard output."""
        file = Path(self.mktemp())
        file.write_text(BASE.format(extra))
        out = StringIO()
        self.patch(here, "interfaces", lambda: HOSTS)
        self.patch(sys, "stdout", out)
        self.errors = StringIO()
        self.patch(sys, "stderr", self.errors)
        status = self.assertRaises(SystemExit, main, ["explain", "-c", str(file), *words]).code
        return int(status or 0), out.getvalue().replace(str(file), "x.ini").splitlines()

    def test_as_another(self) -> None:
        """As a server with another address: for a configuration that is meant for another host."""
        status, lines = self.explained("--mac", "52-54-00-00-00-01", "--arch", "x64-uefi", "--as", "10.0.0.7/16")
        self.assertEqual(status, 0)
        self.assertIn("siaddr: 10.0.0.7", lines)
        self.assertEqual(self.explained("--mac", "52-54-00-00-00-01", "--as", "10.1.0.7/24")[0], 1)
        self.assertEqual(self.explained("--mac", "52-54-00-00-00-01", "--as", "10.1.0.300/24")[0], 2)

    def test_served(self) -> None:
        """The rules with their lines, then the packet."""
        status, lines = self.explained("--mac", "52-54-00-00-00-01", "--arch", "x64-uefi")
        self.assertEqual(status, 0)
        self.assertIn("address: 10.0.0.100   (x.ini:2: [bootpd] pool_start)", lines)
        self.assertIn("boot file: grub.efi   (x.ini:4: [bootfile] x64-uefi)", lines)
        self.assertIn("yiaddr: 10.0.0.100", lines)

    def test_file(self) -> None:
        """What the boot file's name leads to: the filter that fits with its line, the file, what is wrong with it."""
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        extra = f"[filters]\ngrub.efi = {place}/{{arch}}.efi\n"
        words = ("--mac", "52-54-00-00-00-01", "--arch", "x64-uefi")
        _, lines = self.explained(*words, extra=extra)
        at = lines.index(f"[filters]: {place}/00007.efi   (x.ini:4: [filters] grub.efi)")
        self.assertEqual(lines[at + 1 : at + 3], ["file: no such file", ""])
        (place / "00007.efi").write_bytes(efi(X64))
        _, lines = self.explained(*words, extra=extra)
        self.assertEqual(lines[at + 1 : at + 3], [f"file: {place}/00007.efi, 134 bytes", ""])
        (place / "00007.efi").write_bytes(efi(ARM64))
        _, lines = self.explained(*words, extra=extra)
        self.assertEqual(lines[at + 2], "file: this machine cannot start it: an EFI program for arm64, not for x64")

    def test_file_at_another_address(self) -> None:
        """TFTP may listen at another address of this host: what it serves is looked at."""
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        (place / "grub.efi").write_bytes(efi(X64))
        extra = f"[filters]\ngrub.efi = {place}/grub.efi\n"
        listening = "root = /srv\naddress = 10.0.0.2\n"
        self.patch(sys.modules[__name__], "BASE", BASE.replace("root = /srv\n", listening))
        _, lines = self.explained("--mac", "52-54-00-00-00-01", "--arch", "x64-uefi", extra=extra)
        self.assertIn("siaddr: 10.0.0.2", lines)
        self.assertIn(f"file: {place}/grub.efi, 134 bytes", lines)

    def test_file_elsewhere(self) -> None:
        """Another TFTP server's file, and a web server's, are not looked at."""
        words = ("--mac", "52-54-00-00-00-01", "--arch", "x64-uefi")
        _, lines = self.explained(*words, extra="next_server = 10.0.0.9\n")
        self.assertIn("file: grub.efi comes from 10.0.0.9, not from here", lines)
        _, lines = self.explained(*words, "-p")
        self.assertIn("file: grub.efi comes by TFTP, which is off here", lines)
        _, lines = self.explained(*words, extra="[filters]\n* = http://web.example.org/{filename}\n")
        self.assertIn("file: http://web.example.org/grub.efi", lines)
        words = ("--mac", "52-54-00-00-00-01", "--user-class", "iPXE")
        _, lines = self.explained(*words, extra="[host 52-54-00-00-00-01]\nbootfile = http://h/x\n")
        self.assertIn("file: http://h/x comes from that web server, which is not asked here", lines)

    def test_refused(self) -> None:
        """A list that does not have the machine: its word comes first."""
        _, lines = self.explained("--mac", "52-54-00-00-00-01", extra="access = mac\n[mac]\n00-00-00/24 = yes\n")
        self.assertTrue(lines[0].startswith("access mac: no, not in [mac]; add 52-54-00-00-00-01"), lines)
        self.assertEqual(lines[-1], "no answer")

    def test_remote(self) -> None:
        """A web server is not asked; its yes is assumed, and said."""
        extra = "access = http\n[http]\nlocation = http://h/\n"
        _, lines = self.explained("--mac", "52-54-00-00-00-01", "--arch", "7", extra=extra)
        self.assertEqual(lines[0], "access http: http://h would be asked; its yes is assumed here")
        self.assertIn("boot file: grub.efi   (x.ini:7: [bootfile] x64-uefi)", lines)

    def test_next_boot(self) -> None:
        """What is ordered for the machine's next boot is told as such."""
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        OrderBook(place / "x.next").put(bytes.fromhex("525400000001"), "rescue.efi")
        extra = f"[leases]\nstore = sqlite:{place}/x.leases\n"
        _, lines = self.explained("--mac", "52-54-00-00-00-01", "--arch", "x64-uefi", extra=extra)
        self.assertIn("next boot: rescue.efi, this time only", lines)
        self.assertIn("67 boot_file_name: rescue.efi", lines)

    def test_usage(self) -> None:
        """There has to be a hardware address; a value that cannot be read is named with its option."""
        self.assertEqual(self.explained()[0], 2)
        for option, value, expected in (
            ("--mac", "foo", "not a hardware address"),
            ("--arch", "x64uefi", "no architecture; did you mean x64-uefi?"),
            ("--arch", "AArch64", "no architecture; did you mean arm64-uefi?"),
            ("--arch", "uefi", "no architecture; did you mean x64-uefi?"),
            ("--uuid", "12", "not a UUID; write e.g. 77AABBCC-1122"),
            ("--giaddr", "there", "not an IPv4 address"),
        ):
            words = [option, value] if option == "--mac" else ["--mac", "52-54-00-00-00-01", option, value]
            self.assertEqual(self.explained(*words)[0], 2)
            self.assertIn(f"{option} {value}: {expected}", self.errors.getvalue())
