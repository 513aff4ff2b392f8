"""A word to an iPXE that waits for an IPv6 router."""

from __future__ import annotations

import errno
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6ND_RS, ICMPv6NDOptMTU, ICMPv6NDOptSrcLLAddr
from twisted.trial.unittest import SynchronousTestCase

from pybootd.net.advertisement import EMPTY, Advertiser, solicitor
from tests.support.net import FakeSocket, ReaderReactor

MAC = "52:54:00:12:34:56"
LINK_LOCAL = "fe80::5054:ff:fe12:3456%br0"
FROM = (LINK_LOCAL, 0, 0, 2)


class SolicitorTests(SynchronousTestCase):
    """Who asks."""

    def test_option(self) -> None:
        """The source link-layer option says it, wherever it stands."""
        for message in (
            ICMPv6ND_RS(cksum=1) / ICMPv6NDOptSrcLLAddr(lladdr=MAC),
            ICMPv6ND_RS(cksum=1) / ICMPv6NDOptMTU() / ICMPv6NDOptSrcLLAddr(lladdr=MAC),
        ):
            self.assertEqual(solicitor(bytes(message), "fe80::1"), MAC, message.summary())

    def test_address(self) -> None:
        """Else the address, where it is made of the hardware address (RFC 4291 A)."""
        self.assertEqual(solicitor(bytes(ICMPv6ND_RS(cksum=1)), LINK_LOCAL), MAC)

    def test_unknown(self) -> None:
        """Who has no address yet, or one that says nothing, or does not solicit, is nobody."""
        for message, source in (
            (bytes(ICMPv6ND_RS(cksum=1) / ICMPv6NDOptSrcLLAddr(lladdr=MAC)), "::"),
            (bytes(ICMPv6ND_RS(cksum=1)), "fe80::1"),
            (bytes(ICMPv6ND_RA(cksum=1)), LINK_LOCAL),
            (b"", LINK_LOCAL),
            (bytes(ICMPv6ND_RS(cksum=1)), "nonsense"),
        ):
            self.assertEqual(solicitor(message, source), "", (message, source))

    @given(st.binary(max_size=100))
    def test_any_bytes(self, options: bytes) -> None:
        """Nothing that is received makes it fail or turn for ever."""
        solicitor(bytes(ICMPv6ND_RS(cksum=1)) + options, LINK_LOCAL)


class AdvertiserTests(SynchronousTestCase):
    """Who is answered, and what."""

    def setUp(self) -> None:
        self.socket = FakeSocket()
        self.booting = {MAC}
        self.advertiser = Advertiser(self.socket, self.booting.__contains__, ReaderReactor())

    def hears(self, message: Any) -> None:
        self.socket.incoming.append((bytes(message), FROM))
        self.advertiser.doRead()

    def test_empty(self) -> None:
        """A booting iPXE is told, alone, that there is no router and nothing else to know."""
        self.hears(ICMPv6ND_RS(cksum=1))
        self.assertEqual(self.socket.sent, [(EMPTY, FROM)])
        told = ICMPv6ND_RA(EMPTY)
        self.assertEqual((told.type, told.routerlifetime, told.M, told.O, bytes(told.payload)), (134, 0, 0, 0, b""))

    def test_others(self) -> None:
        """Nobody else is answered: a network with IPv6 notices nothing."""
        self.booting.clear()
        self.hears(ICMPv6ND_RS(cksum=1))
        self.advertiser.doRead()
        self.assertEqual(self.socket.sent, [])

    def test_lost(self) -> None:
        """An answer that cannot leave harms nothing."""
        self.socket.failing = OSError(errno.ENETUNREACH, "Network is unreachable")
        self.hears(ICMPv6ND_RS(cksum=1))
