"""Boot menus on the machine's own screen."""

from __future__ import annotations

from struct import pack

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from pybootd.config.origin import Origin
from pybootd.dhcp.decision import Decision, MessageType
from pybootd.dhcp.facts import Facts
from pybootd.dhcp.menu import FIRST_TYPE, Item, Menu, encoded, size
from pybootd.dhcp.policy import decide
from pybootd.dhcp.pxe import suboptions
from tests.support.dhcp import BIOS, DISCOVER, IPXE, REQUEST, UEFI, UEFI_HTTP, USUAL, number, request, settings

HERE = Origin("x.ini", 1, "menu", "")
SERVER = number("10.0.0.1")
MENU = Menu("Press F8", 5, (Item("Disk", "", HERE), Item("Install", "debian.0", HERE), Item("Test", "t.0", HERE)), HERE)
WRITTEN = "[menu]\nprompt = Press F8\ntimeout = 5\nDisk = local\nInstall = debian.0\nTest = t.0\n"
FACTS = Facts(now=1e6, candidate=number("10.0.0.100"))


class EncodingTests(SynchronousTestCase):
    """Option 43."""

    def test_parts(self) -> None:
        """Nobody is searched for; each item with a file is a boot server of this server; the prompt has its seconds."""
        parts = dict(suboptions(encoded(MENU, SERVER)))
        servers = b"".join(pack("!HBI", FIRST_TYPE + number, 1, SERVER) for number in (1, 2))
        self.assertEqual((parts[6], parts[8], parts[10]), (b"\7", servers, b"\5Press F8"))
        self.assertEqual(parts[9], b"\0\0\4Disk" + b"\x80\1\7Install" + b"\x80\2\4Test")

    def test_size(self) -> None:
        """How long it is, without making it."""
        items = [(item.text, bool(item.file)) for item in MENU.items]
        self.assertEqual(size(MENU.prompt, items), len(encoded(MENU, SERVER)))

    def test_chosen(self) -> None:
        """A type is an item; the local disk needs no server, and others are nobody's."""
        self.assertEqual(MENU.chosen(FIRST_TYPE + 1).file, "debian.0")
        for type in (0, 1, FIRST_TYPE, FIRST_TYPE + 3, FIRST_TYPE - 1):
            self.assertIsNone(MENU.chosen(type), type)
        self.assertEqual(MENU.first.file, "debian.0")


class PolicyTests(SynchronousTestCase):
    """Who is shown a menu, and what a choice brings."""

    def decide(
        self, options: dict[int, bytes], facts: Facts = FACTS, extra: str = WRITTEN, **words: object
    ) -> Decision:
        kind = words.pop("kind", DISCOVER)
        return decide(request(kind, options, **words), settings(USUAL, extra=extra), facts)

    def menu_of(self, decision: Decision) -> bytes | None:
        """The menu's lines in the first reply."""
        return dict(suboptions(decision.replies[0].options.get(43, b""))).get(9)

    def test_offered(self) -> None:
        """A BIOS ROM is offered an address and the menu, and no file, which it would load instead."""
        decision = self.decide(BIOS)
        (reply,) = decision.replies
        self.assertEqual((reply.yiaddr, reply.file, reply.options[60]), (FACTS.candidate, b"", b"PXEClient"))
        self.assertNotIn(67, reply.options)
        self.assertIn(b"Install", self.menu_of(decision))

    def test_ignored(self) -> None:
        """One that asks again gets the file of C{[bootfile]}, as if there were no menu."""
        (reply,) = self.decide(BIOS, evolve(FACTS, attempt=1)).replies
        self.assertEqual(reply.options[67], b"pxelinux.0\0")

    def test_no_boot_file(self) -> None:
        """Where C{[bootfile]} has none for it, the menu's first file takes its place."""
        extra = WRITTEN.replace("[menu]", "[menu arm64-uefi]")
        arm = {**UEFI, 93: b"\0\x0b"}
        (reply,) = self.decide(arm, evolve(FACTS, attempt=1), extra).replies
        self.assertEqual(reply.options[67], b"debian.0\0")

    def test_chosen(self) -> None:
        """Port 4011 names the file of the item, and repeats the item."""
        chosen = b"\x47\4\x80\2\0\0\xff"
        where = {"kind": REQUEST, "port": 4011, "unicast": True, "ciaddr": "10.0.0.100"}
        (reply,) = self.decide({**BIOS, 43: chosen}, **where).replies
        self.assertEqual((reply.type, reply.file, reply.options[43]), (MessageType.ACK, b"t.0", chosen))
        silence = self.decide({**BIOS, 43: b"\x47\4\x80\7\0\0\xff"}, **where)
        self.assertEqual(silence.replies, ())
        self.assertIn("no item", silence.reason)

    def test_architectures(self) -> None:
        """Each architecture has its own; others, and UEFI HTTP boot, have none; C{[menu]} is for BIOS."""
        extra = WRITTEN + "[menu x64-uefi]\nEFI shell = shell.efi\n"
        self.assertIn(b"EFI shell", self.menu_of(self.decide(UEFI, extra=extra)))
        self.assertIn(b"Install", self.menu_of(self.decide({60: b"PXEClient"}, extra=extra)))
        for options in (UEFI, UEFI_HTTP, {**BIOS, 97: b"\0" + b"\x44" * 16}):
            self.assertNotIn(b"Install", self.menu_of(self.decide(options)) or b"")

    def test_particular(self) -> None:
        """Who has a file of its own is not asked; iPXE goes on with its script."""
        extra = WRITTEN + "[host 52-54-00-00-00-01]\nbootfile = own.0\n"
        self.assertEqual(self.decide(BIOS, extra=extra).replies[0].file, b"own.0")
        self.assertIn(b"boot.ipxe", self.decide(IPXE).replies[0].file)

    def test_proxy(self) -> None:
        """A proxy offers the menu too."""
        text = "[bootpd]\nmode = proxy\n[bootfile]\ndefault = p.0\n[tftpd]\nroot = /srv\n" + WRITTEN
        decision = decide(request(DISCOVER, BIOS), settings(text), FACTS)
        self.assertEqual((decision.replies[0].yiaddr, len(decision.replies)), (0, 1))
        self.assertIn(b"Install", self.menu_of(decision))
