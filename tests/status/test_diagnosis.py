"""Why a machine does not boot, in a sentence."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.machine import Firmware
from pybootd.status.diagnosis import Diagnosis, diagnose, stage_of, state_of
from pybootd.status.timeline import Timeline
from tests.support.boots import MAC, Story


def where(section: str, option: str) -> str:
    return f"pybootd.ini:7: [{section}] {option}".rstrip()


class DiagnosisTests(SynchronousTestCase):
    """Each thing that goes wrong has its sentence."""

    def setUp(self) -> None:
        self.timeline = Timeline()
        self.story = Story(self.timeline.apply)

    def found(self, later: float = 0.0) -> Diagnosis | None:
        """What is the matter, so many seconds after the last event."""
        record = self.timeline.get(MAC)
        assert record is not None
        return diagnose(record, self.story.now + later, where)

    def check(self, kind: str, setting: str, *words: str, later: float = 0.0) -> Diagnosis:
        """This is the matter; the sentence has these words."""
        found = self.found(later)
        assert found is not None, "nothing is the matter"
        self.assertEqual((found.kind, found.setting), (kind, setting))
        for word in words:
            self.assertIn(word, found.sentence)
        self.assertRegex(found.sentence, r"\A[A-Z0-9].*\.\Z")
        return found

    def test_all_is_well(self) -> None:
        """Of a boot that goes on, at no step anything."""
        problems: list[object] = []
        story = Story(lambda event: (self.timeline.apply(event), problems.append(self.found())))
        self.story = story
        story.boot()
        self.assertEqual([problem for problem in problems if problem is not None], [])
        self.assertIsNone(self.found(100_000))

    def test_access(self) -> None:
        """Access denied: by which rule."""
        self.story.seen()
        self.story.ignored("not in [mac]", "pybootd.ini:12: [bootpd] access")
        self.check("refused", "pybootd.ini:12: [bootpd] access", "DISCOVER is left unanswered", "not in [mac]")

    def test_architecture(self) -> None:
        """No boot file for this architecture."""
        self.story.seen(architecture=11)
        self.story.ignored("no boot file for arm64-uefi", "pybootd.ini:20: [bootfile]")
        self.check("refused", "pybootd.ini:20: [bootfile]", "arm64-uefi")

    def test_allowed_at_last(self) -> None:
        """A refusal is forgotten once it is served."""
        self.story.ignored("not in [mac]")
        self.story.addressed()
        self.assertIsNone(self.found())

    def test_file_denied(self) -> None:
        """A file that is denied."""
        self.story.addressed()
        self.story.refused("pxelinux.0", "not in [mac]", "pybootd.ini:12: [bootpd] access")
        self.check("refused", "pybootd.ini:12: [bootpd] access", "Its pxelinux.0 is refused", "not in [mac]")

    def test_offer_ignored(self) -> None:
        """DISCOVER again and again, whatever is offered."""
        for _ in range(2):
            self.story.seen()
            self.story.offered()
        self.assertIsNone(self.found())
        self.story.seen()
        self.check("offer_ignored", "pybootd.ini:7: [bootpd] broadcast", "asked 3 times")

    def test_unanswered(self) -> None:
        """DISCOVER again and again, and nothing to say."""
        for _ in range(3):
            self.story.seen()
        self.check("unanswered", "pybootd.ini:7: [bootpd] timeout", "sent nothing")

    def test_boot_server(self) -> None:
        """REQUEST to port 4011, unanswered."""
        self.story.addressed()
        for _ in range(2):
            self.story.seen(message="REQUEST (boot server)")
        self.check("boot_server", "pybootd.ini:7: [bootpd] mode", "4011")

    def test_no_request(self) -> None:
        """An address, and no question for the file."""
        self.story.addressed()
        self.assertIsNone(self.found(5))
        self.check("no_request", "pybootd.ini:7: [tftpd] port", "pxelinux.0", "UDP port 69", later=30)

    def test_no_boot_file(self) -> None:
        """An address, and no boot file."""
        self.story.addressed(file="")
        self.check("no_boot_file", "pybootd.ini:7: [bootfile]", "no boot file", later=30)

    def test_missing(self) -> None:
        """The boot file is not there: at once."""
        self.story.addressed()
        self.story.missing("pxelinux.0")
        self.check("missing", "pybootd.ini:7: [tftpd] root", "asked for pxelinux.0", "no such file")

    def test_missing_by_http(self) -> None:
        """A file that is not there by HTTP: the root of that."""
        self.story.addressed(file="http://10.77.0.1/boot.ipxe")
        self.story.missing("boot.ipxe", protocol="http")
        self.check("missing", "pybootd.ini:7: [httpd] root", "boot.ipxe")

    def test_names_tried(self) -> None:
        """A loader that tries many names: once it has given up, with the names."""
        self.story.addressed()
        self.story.fetched("pxelinux.0")
        for number in range(6):
            self.story.missing(f"pxelinux.cfg/{number}")
            self.assertIsNone(self.found())
        self.check("missing", "pybootd.ini:7: [tftpd] root", "pxelinux.cfg/0, pxelinux.cfg/1", "2 more", later=10)

    def test_kernel_missing(self) -> None:
        """A loader has its configuration, and the kernel in it is not there."""
        self.story.addressed(file="bootx64.efi")
        self.story.fetched("bootx64.efi")
        self.story.fetched("grub/grub.cfg")
        self.story.missing("vmlinuz-6.1")
        found = self.check("missing", "pybootd.ini:7: [tftpd] root", "vmlinuz-6.1", later=10)
        self.assertEqual(found.severity, "failure")

    def test_font_missing(self) -> None:
        """A loader has its configuration, and a font is not there: its menu waits, and that is no failure."""
        self.story.addressed(file="bootx64.efi")
        self.story.fetched("bootx64.efi")
        self.story.fetched("grub/grub.cfg")
        self.story.missing("grub/fonts/unicode.pf2")
        self.assertIsNone(self.found(30))
        found = self.check("missing", "pybootd.ini:7: [tftpd] root", "unicode.pf2", later=90)
        self.assertEqual(found.severity, "warning")

    def test_system(self) -> None:
        """What a system that is up does not find, or breaks off, is no matter of its boot."""
        self.story.boot()
        self.story.missing("preseed.cfg")
        self.story.begun("image.iso")
        self.story.failed("image.iso")
        self.assertIsNone(self.found(100))

    def test_found_at_last(self) -> None:
        """Names that were tried do not matter once one was there."""
        self.story.addressed()
        self.story.fetched("pxelinux.0")
        self.story.missing("pxelinux.cfg/01")
        self.story.fetched("pxelinux.cfg/default")
        self.assertIsNone(self.found(10))

    def test_loop(self) -> None:
        """The same loader in a loop."""
        for _ in range(3):
            self.story.addressed(Firmware.IPXE, "ipxe.efi")
            self.story.fetched("ipxe.efi")
        self.check("loop", "pybootd.ini:7: [bootfile]", "ipxe.efi again and again", "3 times", "iPXE is given itself")

    def test_silent(self) -> None:
        """Silence in the middle of a file."""
        self.story.addressed()
        self.story.begun("vmlinuz", 1000)
        self.story.progress(400)
        self.assertIsNone(self.found(5))
        self.check("silent", "pybootd.ini:7: [tftpd] root", "middle of vmlinuz", "after 40 %", "20 s ago", later=20)
        self.story.failed("vmlinuz")
        self.check("silent", "pybootd.ini:7: [tftpd] root", "middle of vmlinuz", "after 40 %")

    def test_large_blocks(self) -> None:
        """Silence with blocks that do not fit into a packet."""
        self.story.addressed()
        self.story.begun("vmlinuz", 1000, "blksize 65464")
        self.story.failed("vmlinuz", sent=400)
        self.check("silent", "pybootd.ini:7: [tftpd] max_blocksize", "larger than the network's packets")

    def test_first_block(self) -> None:
        """Nothing at all arrives: the transfer's port is out of reach."""
        self.story.addressed()
        self.story.begun("pxelinux.0")
        self.story.failed("pxelinux.0", sent=0)
        self.check("blocked", "pybootd.ini:7: [tftpd] single_port", "single_port = yes")

    def test_client_ended(self) -> None:
        """The client ends the transfer."""
        self.story.addressed()
        self.story.begun("pxelinux.0")
        self.story.failed("pxelinux.0", "the client ended it: disk full (error 3)")
        self.check("transfer", "pybootd.ini:7: [tftpd] root", "did not get pxelinux.0", "disk full")

    def test_fetched_at_last(self) -> None:
        """A transfer that was repeated with success."""
        self.story.addressed()
        self.story.begun("pxelinux.0")
        self.story.failed("pxelinux.0")
        self.story.fetched("pxelinux.0")
        self.assertIsNone(self.found())

    def test_loss(self) -> None:
        """Windows that get lost: it boots, slowly."""
        self.story.addressed()
        self.story.begun("vmlinuz", 1000, "blksize 1468, windowsize 16")
        self.story.ended("vmlinuz", again=50)
        found = self.check("loss", "pybootd.ini:7: [tftpd] max_windowsize", "50 blocks", "16 of them in a row")
        self.assertEqual(found.severity, "warning")

    def test_stuck_loader(self) -> None:
        """A loader that asks for nothing more."""
        self.story.addressed()
        self.story.fetched("pxelinux.0")
        self.assertIsNone(self.found(30))
        self.check("loader", "pybootd.ini:7: [bootfile]", "It has pxelinux.0", later=90)

    def test_stuck_kernel(self) -> None:
        """A kernel whose system does not ask."""
        self.story.addressed()
        self.story.fetched("pxelinux.0")
        self.story.fetched("vmlinuz")
        self.check("kernel", "", "kernel", later=400)

    def test_left(self) -> None:
        """A machine that asked, and is gone."""
        self.story.seen()
        self.story.offered()
        self.check("left", "pybootd.ini:7: [bootpd] address", "was made an offer and was not heard again", later=90)

    def test_states(self) -> None:
        """The state of a machine in a word."""
        self.story.seen()
        record = self.timeline.get(MAC)
        assert record is not None
        self.assertEqual((stage_of(record), state_of(record, self.story.now, None)), ("asked", "booting"))
        self.assertEqual(state_of(record, self.story.now + 1000, None), "quiet")
        self.assertEqual(state_of(record, self.story.now, Diagnosis("x", "failure", "")), "stopped")
        self.story.boot()
        self.assertEqual((stage_of(record), state_of(record, self.story.now + 1000, None)), ("running", "running"))
