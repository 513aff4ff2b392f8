"""One request after the other, in memory."""

from __future__ import annotations

from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.decision import MessageType
from pybootd.dhcp.facts import ALLOWED
from pybootd.dhcp.rehearsal import Answered, Rehearsal
from pybootd.dhcp.request import Kind, Request
from pybootd.interfaces import Verdict
from tests.support.dhcp import BIOS, DISCOVER, IPXE, MAC, OTHER, RELEASE, SYSTEM, UUID, request, selecting, settings

LOADER = "[bootpd]\npool_start = 10.0.0.100\n[bootfile]\ndefault = ipxe.pxe\n[tftpd]\nroot = /srv\n"
PROXY = "[bootpd]\nmode = proxy\n[bootfile]\ndefault = a\n[tftpd]\nroot = /srv\n"


class RehearsalTests(SynchronousTestCase):
    """L{Rehearsal} with a pool of three addresses."""

    def setUp(self) -> None:
        """A server that serves everybody."""
        self.now = 1000.0
        self.rehearsal = Rehearsal(settings(), lambda request, uuid: ALLOWED)

    def ask(self, asked: Request) -> Answered:
        """Ask, a second after the last time."""
        self.now += 1
        answered = self.rehearsal.ask(asked, self.now)
        assert answered is not None
        return answered

    def told(self, asked: Request) -> str:
        """Type and address of the answer, or nothing."""
        replies = self.ask(asked).decision.replies
        return f"{replies[0].type.name} {IPv4Address(replies[0].yiaddr)}" if replies else ""

    def test_lease(self) -> None:
        """What was offered is granted, and stays the machine's."""
        self.assertEqual(self.told(request(DISCOVER, BIOS)), "OFFER 10.0.0.100")
        self.assertEqual(self.told(selecting("10.0.0.100", options=BIOS)), "ACK 10.0.0.100")
        self.assertEqual(self.told(request(DISCOVER, BIOS, mac=OTHER)), "OFFER 10.0.0.101")
        self.now += 500
        self.assertEqual(self.told(request(DISCOVER, BIOS)), "OFFER 10.0.0.100")

    def test_system(self) -> None:
        """An operating system is served once its machine has booted."""
        self.assertEqual(self.told(request(DISCOVER, SYSTEM)), "")
        self.told(request(DISCOVER, BIOS))
        self.assertEqual(self.told(request(DISCOVER, SYSTEM)), "OFFER 10.0.0.100")

    def test_foreign_offer(self) -> None:
        """Who took another server's offer in the capture is taken to have taken ours."""
        self.told(request(DISCOVER, BIOS))
        answered = self.ask(selecting("10.0.0.7", "10.0.0.254", BIOS))
        self.assertTrue(answered.adapted)
        self.assertIs(answered.decision.replies[0].type, MessageType.ACK)
        self.assertFalse(self.ask(selecting("10.0.0.7", "10.0.0.254", BIOS, mac=OTHER)).adapted, "nothing was offered")

    def test_exhausted(self) -> None:
        """An address that no answer needed is free again; a pool without any says so."""
        strange = {**BIOS, 93: b"\0\x1b", 60: b"PXEClient:Arch:00027"}
        for _ in range(4):
            self.assertEqual(self.told(request(DISCOVER, strange, mac=MAC)), "")
        for last in range(3):
            self.assertNotEqual(self.told(request(DISCOVER, BIOS, mac=bytes((2, 0, 0, 0, 0, last)))), "")
        self.assertIn("no address left", self.ask(request(DISCOVER, BIOS)).decision.reason)

    def test_wish(self) -> None:
        """A machine that asks for a free address gets that one."""
        self.assertEqual(self.told(request(DISCOVER, {**BIOS, 50: b"\x0a\0\0\x65"})), "OFFER 10.0.0.101")

    def test_release(self) -> None:
        """A lease that was given back is known as such."""
        self.told(request(DISCOVER, BIOS))
        self.told(selecting("10.0.0.100", options=BIOS))
        given_back = self.ask(request(RELEASE, ciaddr="10.0.0.100", source=("10.0.0.100", 68), unicast=True))
        self.assertIsNotNone(given_back.decision.claim)
        again = self.ask(request(RELEASE, ciaddr="10.0.0.100", source=("10.0.0.100", 68), unicast=True))
        self.assertIn("not its own", again.decision.reason)

    def test_loop(self) -> None:
        """iPXE that is given itself again and again is noticed, as the daemon does."""
        self.rehearsal = Rehearsal(settings(LOADER), lambda request, uuid: ALLOWED)
        for _ in range(4):
            self.assertEqual(self.told(request(DISCOVER, IPXE)), "OFFER 10.0.0.100")
            self.assertEqual(self.told(selecting("10.0.0.100", options=IPXE)), "ACK 10.0.0.100")
        self.assertIn("4 times in a row", self.ask(request(DISCOVER, IPXE)).decision.reason)

    def test_access(self) -> None:
        """The backends' word counts; they are told the UUID that was heard before."""
        asked: list[tuple[Kind, bytes]] = []

        def judge(request: Request, uuid: bytes) -> Verdict:
            asked.append((request.kind, uuid))
            return Verdict(False, "not in the list")

        self.rehearsal = Rehearsal(settings(), judge)
        self.assertEqual(self.ask(request(DISCOVER, BIOS)).decision.reason, "not in the list")
        self.ask(request(DISCOVER, SYSTEM))
        self.assertEqual(asked[1], (Kind.DISCOVER, UUID))

    def test_proxy(self) -> None:
        """Beside another server only machines that boot are any business of ours."""
        self.rehearsal = Rehearsal(settings(PROXY), lambda request, uuid: ALLOWED)
        self.assertIsNone(self.rehearsal.ask(request(DISCOVER, SYSTEM), 1.0))
        self.assertEqual(self.told(request(DISCOVER, BIOS)), "OFFER 0.0.0.0")
        self.assertIsNotNone(self.rehearsal.ask(request(DISCOVER, SYSTEM), self.now))

    def test_no_network(self) -> None:
        """A relay's network that is not configured gets the decision's own words."""
        self.assertIn("10.99.0.1", self.ask(request(DISCOVER, BIOS, giaddr="10.99.0.1")).decision.reason)
