"""The doctor and boot files."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.config.reader import read
from pybootd.doctor.files import files
from pybootd.doctor.finding import Grade
from pybootd.doctor.storage import User
from tests.support.loopback import Quiet, loopback
from tests.support.programs import ARM64, efi

BASE = "[bootpd]\npool_start = 10.0.0.100\n[tftpd]\nroot = {}\n[bootfile]\n"
OWN = ("http://10.0.0.1/",)
ROOT = User(0, 0)


class Web(Quiet):
    """Knows C{/x/there} and, for who has the password, C{/x/secret}."""

    def do_HEAD(self) -> None:
        """Whether it is there."""
        allowed = self.headers["Authorization"] == "Basic " + b64encode(b"me:p@ss").decode()
        known = {"/x/there": 200, "/x/odd": 405, "/x/secret": 200 if allowed else 401}
        self.send_response(known.get(self.path, 404))
        self.end_headers()


class FilesTests(SynchronousTestCase):
    """L{files}."""

    def setUp(self) -> None:
        """A root with one file in it."""
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir()
        (self.root / "there").write_text("x")

    def said(self, text: str, root: str = "", http: bool = False) -> list[str]:
        """What is wrong, and how many are there."""
        config = read(BASE.format(root or self.root) + text, "x.ini", directory=self.root, http=http)
        found = sorted(files(config, OWN, ROOT), key=lambda one: one.grade is Grade.FINE)
        return [one.text.replace(str(self.root), "DIR") for one in found]

    def test_local(self) -> None:
        """Below the root, through the resolver: case, backslashes, filters."""
        self.assertEqual(
            self.said("bios = there\nx64-uefi = gone.efi\nppc-opal = \\there\ndefault = a/b\n[filters]\na/* = there\n"),
            ["x.ini:7: [bootfile] x64-uefi = gone.efi: no such file", "3 boot files of the configuration can be had"],
        )

    def test_other_processor(self) -> None:
        """A program that this kind of machine cannot start, behind a filter or not; each says what to put there."""
        (self.root / "there").write_bytes(efi(ARM64))
        text = "arm64-uefi = there\nbios = a/b\nx64-uefi = there\nipxe.x64-uefi = there\n[filters]\na/* = there\n"
        self.assertEqual(
            self.said(text),
            [
                "x.ini:7: [bootfile] bios = a/b: an EFI program, for arm64",
                "x.ini:8: [bootfile] x64-uefi = there: an EFI program for arm64, not for x64",
                "x.ini:9: [bootfile] ipxe.x64-uefi = there: an EFI program for arm64, not for x64",
                "1 boot file of the configuration can be had",
            ],
        )
        config = read(BASE.format(self.root) + text, directory=self.root)
        remedies = [one.remedy for one in files(config, OWN, ROOT) if one.grade is Grade.WRONG]
        kinds = ["bios", "x64-uefi", "iPXE"]
        self.assertEqual(remedies, [f"put a boot program for {kind} there" for kind in kinds])

    def test_unreadable(self) -> None:
        """A file, or a directory on the way to it, that the daemon's user may not read: with the remedy."""
        config = read(BASE.format(self.root) + "bios = there\n", "x.ini", directory=self.root)
        for closed, remedy in ((self.root / "there", "chmod o+r "), (self.root, "chmod o+rx ")):
            self.patch(User, "shut_out", lambda user, path, closed=closed: closed)
            (found,) = (one for one in files(config, OWN, User(1, 1)) if one.grade is Grade.WRONG)
            self.assertEqual(found.text, f"x.ini:6: [bootfile] bios = there: {User(1, 1)} may not read {closed}")
            self.assertEqual(found.remedy, f"{remedy}{closed}")

    def test_hosts_and_menus(self) -> None:
        """The files of C{[host]} and C{[menu]}, too."""
        text = (
            "bios = there\n[host 52-54-00-00-00-07]\nbootfile = {which}\nvar.which = gone\n"
            "[host 52-54-00-00-00-08]\nbootfile = per\nvar.which = gone\n[filters]\nper = {which}\n"
        ).replace("bootfile = {which}", "bootfile = away")
        said = self.said(text)
        self.assertEqual(said[0], "x.ini:8: [host 52-54-00-00-00-07] bootfile = away: no such file")
        self.assertTrue(said[1].startswith("x.ini:11: [host 52-54-00-00-00-08] bootfile = per: "), said)
        self.assertEqual(said[2:], ["1 boot file of the configuration can be had"])

    def test_machines_own(self) -> None:
        """A filter that needs something of the machine: there is no telling for all of them."""
        text = "bios = per\nx64-uefi = for\n[filters]\nper = {uuid}/x\nfor = x-{hostname}\n"
        self.assertEqual(self.said(text), ["2 boot files of the configuration can be had"])

    def test_by_http(self) -> None:
        """Firmware that loads by HTTP: bare names and our own URLs are looked up here, and HTTP has to be on."""
        text = "x64-uefi-http = there\narm64-uefi-http = http://10.0.0.1/th%65re\nbios-http = http://10.0.0.1/gone\n"
        (missing, rest) = self.said(text, http=True)
        self.assertEqual(missing, "x.ini:8: [bootfile] bios-http = http://10.0.0.1/gone: no such file")
        self.assertEqual(rest, "2 boot files of the configuration can be had")
        self.assertIn("loads by HTTP, which is off", self.said("x64-uefi-http = there\n")[0])

    def test_url_by_tftp(self) -> None:
        """Firmware that loads by TFTP can do nothing with a URL; iPXE can."""
        with loopback(Web) as (_, host):
            said = self.said(f"bios = http://{host}/x/there\nipxe = http://{host}/x/there\n")
        self.assertIn("loads by TFTP and cannot use a URL", said[0])
        self.assertEqual(said[1:], ["1 boot file of the configuration can be had"])

    def test_remote_root(self) -> None:
        """A root that is a URL: the server is asked, with the password, and neither is shown."""
        with loopback(Web) as (_, host):
            text = "bios = there\nx64-uefi = secret\narm64-uefi = odd\nia32-uefi = gone\n"
            self.assertEqual(
                self.said(text, f"http://me:p%40ss@{host}/x"),
                [
                    f"x.ini:9: [bootfile] ia32-uefi = gone: http://{host}/x/gone: 404 Not Found",
                    "3 boot files of the configuration can be had",
                ],
            )
        self.assertIn("Connection refused", self.said("bios = there\n", f"http://{host}/x")[0])

    def test_served_elsewhere(self) -> None:
        """Without TFTP here there is no telling of what it serves."""
        config = read(BASE.format(self.root) + "bios = gone\n", directory=self.root, tftp=False)
        self.assertEqual(list(files(config, OWN, ROOT)), [])

    def test_other_urls(self) -> None:
        """A URL that only the machine's own loader understands cannot be asked for."""
        (said,) = self.said("ipxe = nfs://10.0.0.1/x\n")
        self.assertIn("cannot be asked for from here", said)

    def test_none(self) -> None:
        """Without any boot file nothing boots."""
        self.assertEqual(self.said(""), ["[bootfile] is empty: no machine that boots gets an answer"])
