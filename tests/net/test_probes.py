"""Probes of addresses: what they ask, by ARP and by ICMP, and what counts as an answer."""

from __future__ import annotations

import errno
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, IPOption_NOP, icmptypes
from scapy.layers.l2 import ARP, Ether
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pybootd.net import echo, probes
from pybootd.net.echo import Echo
from pybootd.net.interfaces import Interface
from pybootd.net.neighbour import Neighbours
from pybootd.net.probes import Probes
from tests.support.net import FakeSocket, ReaderReactor

ADDRESS = IPv4Address("10.77.0.100")
SECONDS = 0.5
ETH0 = Interface("eth0", 2, bytes.fromhex("020000000001"), (IPv4Interface("10.77.0.1/24"),))


class ProbesTests(SynchronousTestCase):
    """Questions under way."""

    def setUp(self) -> None:
        self.reactor = ReaderReactor()
        self.asked: list[int] = []
        self.probes = Probes(self.asked.append, self.reactor)

    def tearDown(self) -> None:
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_silence(self) -> None:
        """Where nobody answers in time, nobody has the address."""
        answer = self.probes.probe(1, SECONDS)
        self.reactor.advance(SECONDS - 0.01)
        self.assertNoResult(answer)
        self.reactor.advance(0.01)
        self.assertIs(self.successResultOf(answer), False)
        self.assertEqual(self.asked, [1])

    def test_answer(self) -> None:
        """An answer for the address settles it at once; one for another address does not."""
        answer = self.probes.probe(1, SECONDS)
        self.probes.heard(2)
        self.assertNoResult(answer)
        self.probes.heard(1)
        self.assertIs(self.successResultOf(answer), True)
        self.probes.heard(1)

    def test_cannot_ask(self) -> None:
        """Where the question cannot leave, nobody is waited for."""

        def ask(address: int) -> None:
            raise OSError(errno.ENETDOWN, "Network is down")

        self.assertIs(self.successResultOf(Probes(ask, self.reactor).probe(1, SECONDS)), False)

    def test_twice_or_too_many(self) -> None:
        """An address that is asked for already, or one too many, is not asked for."""
        self.patch(probes, "AT_ONCE", 2)
        waiting = [self.probes.probe(address, SECONDS) for address in (1, 2)]
        for address in (1, 3):
            self.assertIs(self.successResultOf(self.probes.probe(address, SECONDS)), False)
        self.assertEqual(self.asked, [1, 2])
        self.probes.stop()
        self.assertEqual([self.successResultOf(one) for one in waiting], [False, False])


class ArpProbeTests(SynchronousTestCase):
    """By ARP, on an interface of this host's."""

    def setUp(self) -> None:
        self.socket, self.reactor = FakeSocket(), ReaderReactor()
        self.neighbours = Neighbours(ETH0, self.socket, self.reactor)
        self.neighbours.start()
        self.answer = self.neighbours.probe(int(ADDRESS), SECONDS)

    def hears(self, *frames: Any) -> None:
        self.socket.incoming += [bytes(Ether(dst="02:00:00:00:00:01") / frame) for frame in frames]
        self.neighbours.doRead()

    def test_question(self) -> None:
        """The question is an ARP probe."""
        [(frame,)] = self.socket.sent
        self.assertEqual(Ether(frame)[ARP].pdst, str(ADDRESS))
        self.neighbours.stop()
        self.assertIs(self.successResultOf(self.answer), False)
        self.assertTrue(self.socket.closed)

    def test_answer(self) -> None:
        """Whoever speaks for the address by ARP has it."""
        self.hears(ARP(op=2, hwsrc="52:54:00:12:34:56", psrc=str(ADDRESS), pdst="0.0.0.0"))
        self.assertIs(self.successResultOf(self.answer), True)

    def test_others(self) -> None:
        """Others who speak, our own frames, and nonsense mean nothing."""
        self.hears(
            ARP(op=1, hwsrc="52:54:00:12:34:56", psrc="10.77.0.9", pdst=str(ADDRESS)),
            ARP(op=1, hwsrc="02:00:00:00:00:01", psrc=str(ADDRESS), pdst="10.77.0.9"),
            b"",
        )
        self.assertNoResult(self.answer)


class EchoTests(SynchronousTestCase):
    """By ICMP echo, where routers lead."""

    def setUp(self) -> None:
        self.socket, self.reactor = FakeSocket(), ReaderReactor()
        self.echo = Echo(self.socket, self.reactor)
        self.answer: Deferred[bool] = self.echo.probe(int(ADDRESS), SECONDS)
        [(self.question, self.target)] = self.socket.sent

    def hears(self, message: Any, source: str = str(ADDRESS)) -> None:
        self.socket.incoming.append((bytes(IP(src=source, dst="10.77.0.1") / message), (source, 0)))
        self.echo.doRead()

    def reply(self, **fields: Any) -> ICMP:
        return ICMP(type="echo-reply", id=ICMP(self.question).id, **fields)

    def test_question(self) -> None:
        """The question is an echo request with a right checksum."""
        asked = ICMP(self.question)
        self.assertEqual((self.target, icmptypes[asked.type]), ((str(ADDRESS), 0), "echo-request"))
        fitting = asked.chksum
        del asked.chksum
        self.assertEqual(ICMP(bytes(asked)).chksum, fitting)

    def test_reply(self) -> None:
        """Whoever replies has the address."""
        self.hears(self.reply())
        self.assertIs(self.successResultOf(self.answer), True)

    def test_options(self) -> None:
        """An IP header with options is no obstacle."""
        self.socket.incoming.append(
            (bytes(IP(src=str(ADDRESS), options=[IPOption_NOP()] * 4) / self.reply()), (str(ADDRESS), 0))
        )
        self.echo.doRead()
        self.assertIs(self.successResultOf(self.answer), True)

    def test_others(self) -> None:
        """Replies of others, or to others, errors, and nonsense mean nothing."""
        self.hears(self.reply(), "10.77.0.9")
        self.hears(ICMP(type="echo-reply", id=ICMP(self.question).id ^ 1))
        self.hears(ICMP(type="dest-unreach"))
        self.socket.incoming += [(b"", (str(ADDRESS), 0)), (b"\x4f" * 20, (str(ADDRESS), 0))]
        self.echo.doRead()
        self.assertNoResult(self.answer)
        self.echo.stop()
        self.assertIs(self.successResultOf(self.answer), False)

    @given(st.binary(max_size=80))
    def test_any_bytes(self, packet: bytes) -> None:
        """Nothing that is received makes it fail."""
        echo.answers(packet, 1)
