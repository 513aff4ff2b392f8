"""C{[mac]} and C{[uuid]}: who is listed, and whose word counts more."""

from __future__ import annotations

from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pybootd.access.lists import MacAccess, UuidAccess
from pybootd.config import Config
from pybootd.config.reader import read
from pybootd.interfaces import IAccessControl, Phase, Question

MAC = bytes.fromhex("AABBCC112233")
PRINTED = "77AABBCC-1122-3344-5566-778899AABBCC"
WIRE = UUID(PRINTED).bytes_le
BOOTPD = "[bootpd]\npool_start = 10.77.0.100\n[tftpd]\nroot = /srv\n[bootfile]\ndefault = pxelinux.0\n"


def config(text: str) -> Config:
    return read(BOOTPD + text)


def question(mac: bytes = MAC, uuid: bytes | None = None) -> Question:
    return Question(mac, uuid, Phase.BOOT, 0, None)


class MacTests(SynchronousTestCase):
    """C{access = mac}."""

    def access(self, text: str) -> MacAccess:
        read_in = config(text)
        return MacAccess(read_in.mac, read_in.static_dhcp, str(read_in.origin("mac")))

    def test_interface(self) -> None:
        """It is an access backend."""
        verifyObject(IAccessControl, self.access(""))

    def test_listed(self) -> None:
        """A line allows or blocks, with dashes or colons, and the verdict names it."""
        for line, allowed in (("AA-BB-CC-11-22-33 = yes", True), ("aa:bb:cc:11:22:33 = low", False)):
            verdict = self.access(f"[mac]\n{line}\n").check(question())
            self.assertEqual((verdict.allowed, verdict.setting[:18]), (allowed, "pybootd.ini:8: [ma"), line)

    def test_unlisted(self) -> None:
        """Who is not listed is refused; the reason is the line that would help, and where it would stand."""
        verdict = self.access("[mac]\nAA-BB-CC-11-22-34 = yes\n").check(question())
        self.assertFalse(verdict.allowed)
        self.assertIn("AA-BB-CC-11-22-33 = enable", verdict.reason)
        self.assertEqual(verdict.setting, "pybootd.ini:7: [mac]")

    def test_masks(self) -> None:
        """A mask counts bits from the front; the longest that fits decides, wherever it stands."""
        text = "[mac]\nAA-BB-CC-11-22-33 = no\nAA-BB-CC/24 = yes\nAA-BB-CC-11/32 = no\n"
        access = self.access(text)
        for mac, allowed in (
            ("AABBCC112233", False),
            ("AABBCC112234", False),
            ("AABBCC122233", True),
            ("AABBCD112233", False),
        ):
            self.assertEqual(access.check(question(bytes.fromhex(mac))).allowed, allowed, mac)

    def test_mask_of_nothing(self) -> None:
        """A mask of 0 bits fits everybody."""
        self.assertTrue(self.access("[mac]\n00/0 = yes\n").check(question()).allowed)

    def test_static(self) -> None:
        """A machine with a fixed address is allowed without a line in C{[mac]}."""
        verdict = self.access("[static_dhcp]\nAA-BB-CC-11-22-33 = 10.77.0.50\n").check(question())
        self.assertTrue(verdict.allowed)
        self.assertIn("[static_dhcp] AA-BB-CC-11-22-33", verdict.setting)

    def test_static_but_blocked(self) -> None:
        """C{[mac]} decides over C{[static_dhcp]}, by a mask too."""
        static = "[static_dhcp]\nAA-BB-CC-11-22-33 = 10.77.0.50\n"
        for line in ("AA-BB-CC-11-22-33 = off", "AA-BB-CC/24 = off"):
            self.assertFalse(self.access(f"{static}[mac]\n{line}\n").check(question()).allowed, line)


class UuidTests(SynchronousTestCase):
    """C{access = uuid}."""

    def access(self, text: str) -> UuidAccess:
        read_in = config(text)
        return UuidAccess(read_in.uuid, read_in.static_dhcp, read_in.mac, str(read_in.origin("uuid")))

    def test_interface(self) -> None:
        """It is an access backend."""
        verifyObject(IAccessControl, self.access(""))

    def test_both_orders(self) -> None:
        """The UUID that people see fits the one on the wire in either order of its first three fields."""
        access = self.access(f"[uuid]\n{PRINTED} = yes\n")
        for wire in (WIRE, UUID(PRINTED).bytes):
            self.assertTrue(access.check(question(uuid=wire)).allowed, wire)
        self.assertFalse(access.check(question(uuid=WIRE[::-1])).allowed)

    def test_masks(self) -> None:
        """The longest mask decides."""
        access = self.access(f"[uuid]\n77AABBCC/32 = yes\n{PRINTED} = no\n")
        self.assertFalse(access.check(question(uuid=WIRE)).allowed)
        self.assertTrue(access.check(question(uuid=WIRE[:15] + b"\0")).allowed)

    def test_unlisted(self) -> None:
        """Who is not listed is refused, and the reason names its UUID as people write it."""
        verdict = self.access("[uuid]\n78AABBCC/32 = yes\n").check(question(uuid=WIRE))
        self.assertFalse(verdict.allowed)
        self.assertIn(f"{PRINTED} = enable", verdict.reason)
        self.assertEqual(verdict.setting, "pybootd.ini:7: [uuid]")

    def test_hidden(self) -> None:
        """A machine that never said its UUID is refused."""
        verdict = self.access(f"[uuid]\n{PRINTED} = yes\n").check(question())
        self.assertFalse(verdict.allowed)
        self.assertIn("UUID", verdict.reason)

    def test_static(self) -> None:
        """A fixed address allows here too, unless C{[uuid]} or C{[mac]} blocks the machine."""
        static = "[static_dhcp]\nAA-BB-CC-11-22-33 = 10.77.0.50\n"
        self.assertTrue(self.access(static).check(question()).allowed)
        self.assertTrue(self.access(static).check(question(uuid=WIRE)).allowed)
        self.assertFalse(self.access(f"{static}[uuid]\n{PRINTED} = no\n").check(question(uuid=WIRE)).allowed)
        self.assertFalse(self.access(f"{static}[mac]\nAA-BB-CC/24 = no\n").check(question(uuid=WIRE)).allowed)
