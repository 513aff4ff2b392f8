"""Replies are made from templates, and no machine is told what is another's, or what held before."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.answer import common_options
from pybootd.dhcp.facts import Facts
from pybootd.dhcp.packet import Packet, decode, encode
from pybootd.dhcp.policy import decide
from pybootd.dhcp.request import Request
from pybootd.dhcp.settings import Settings
from tests.support.dhcp import BIOS, DISCOVER, MAC, OTHER, USUAL, UUID, number, request, settings

FACTS = Facts(now=1_000_000.0, candidate=number("10.0.0.100"))


class TemplateTests(SynchronousTestCase):
    """What many are told is written once."""

    def answer(self, asked: Request, by: Settings, facts: Facts = FACTS) -> Packet:
        """The only reply, as it arrives."""
        (reply,) = decide(asked, by, facts).replies
        return decode(encode(reply, asked))

    def test_shared(self) -> None:
        """Machines that ask alike are told the same, as if each were the first."""
        by = settings()
        packets = [self.answer(request(DISCOVER, BIOS, mac=mac), by) for mac in (MAC, OTHER, MAC)]
        common_options.cache_clear()
        packets.append(self.answer(request(DISCOVER, BIOS, mac=MAC), by))
        self.assertEqual(packets[0], packets[2])
        self.assertEqual(packets[0], packets[3])
        self.assertEqual(packets[0].options, packets[1].options)

    def test_own(self) -> None:
        """What is a machine's own goes to that machine only, however many were answered before."""
        by = settings(extra="\n[host 52-54-00-00-00-01]\nhostname = node1\n")
        mine = {**BIOS, 61: b"\1mine"}
        first = self.answer(request(DISCOVER, mine, mac=MAC), by)
        nobody = {code: value for code, value in BIOS.items() if code != 97}
        second = self.answer(request(DISCOVER, nobody, mac=OTHER), by)
        self.assertEqual([first.options[code] for code in (12, 61, 97)], [b"node1", b"\1mine", b"\0" + UUID])
        self.assertEqual({12, 61, 97} & set(second.options), set())

    def test_other_settings(self) -> None:
        """Other settings count from the first reply on: nothing is left of the template that was."""
        asked = request(DISCOVER, BIOS)
        before = self.answer(asked, settings())
        after = self.answer(asked, settings(USUAL.replace("example.org", "example.net").replace("pxelinux", "other")))
        self.assertEqual(before.options[67], b"pxelinux.0\0")
        self.assertEqual((after.options[67], after.file.rstrip(b"\0")), (b"other.0\0", b"other.0"))

    def test_asked_otherwise(self) -> None:
        """Each list of parameters gets its own answer, in its own order."""
        by = settings()
        orders = [bytes((1, 3, 6, 15)), bytes((1, 15, 3)), bytes((1, 3, 6, 15))]
        told = [list(self.answer(request(DISCOVER, {**BIOS, 55: order}), by).options) for order in orders]
        self.assertEqual(told[0], told[2])
        self.assertLess(told[1].index(3), told[1].index(15))
        self.assertIn(15, told[0])

    def test_bounded(self) -> None:
        """Lists of parameters that clients invent without end take the place of others, not of memory."""
        by = settings()
        most = common_options.cache_info().maxsize
        assert most is not None
        for index in range(most + 50):
            self.answer(request(DISCOVER, {**BIOS, 55: bytes((1, 3, index % 251, 100 + index // 251))}), by)
        self.assertLessEqual(common_options.cache_info().currsize, most)
