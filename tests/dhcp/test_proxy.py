"""Beside another DHCP server."""

from __future__ import annotations

from ipaddress import IPv4Address
from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.delivery import Way
from pybootd.events import Ignored, Offered
from pybootd.interfaces import Verdict
from pybootd.machine import Refusal
from tests.support.dhcp import (
    ACK,
    BIOS,
    DISCOVER,
    IPXE,
    PROXY,
    REQUEST,
    SYSTEM,
    UEFI,
    UEFI_HTTP,
    number,
)
from tests.support.server import Access, Server


class ProxyTests(SynchronousTestCase):
    """C{mode = proxy}."""

    def test_uefi(self) -> None:
        """Two offers without an address, broadcast; the address is learnt from the REQUEST to the other server."""
        server = Server(PROXY)
        offers = server.say(DISCOVER, UEFI)
        self.assertEqual(
            [(sent.address, 43 in sent.packet.options, 60 in sent.packet.options) for sent in offers],
            [(0, True, True), (0, False, True)],
        )
        self.assertEqual([sent.to.way for sent in offers], [Way.BROADCAST] * 2)
        self.assertEqual([event.boot_file for event in server.told(Offered)], ["grub.efi"])
        self.assertEqual(server.say(REQUEST, {**UEFI, 50: pack("!I", number("10.0.0.77")), 54: b"\x0a\0\0\x03"}), [])
        self.assertIs(server.machines.at(IPv4Address("10.0.0.77")), server.machine())
        self.assertEqual(server.told(Ignored), [])

    def test_boot_server(self) -> None:
        """Port 4011 answers to the port that the client asked from, and it is told."""
        server = Server(PROXY)
        (ack,) = server.say(REQUEST, UEFI, ciaddr="10.0.0.77", port=4011, to="10.0.0.1", source=("10.0.0.77", 4011))
        self.assertEqual((ack.kind, ack.address, ack.file, ack.port), (ACK, 0, b"grub.efi", 4011))
        self.assertEqual((ack.to.way, ack.to.address, ack.to.port), (Way.ROUTED, number("10.0.0.77"), 4011))
        self.assertEqual([event.boot_file for event in server.told(Offered)], ["grub.efi"])
        self.assertIs(server.machines.at(IPv4Address("10.0.0.77")), server.machine())

    def test_systems(self) -> None:
        """Machines that do not boot leave no trace; the system of one that did is known by its address."""
        server = Server(PROXY)
        taking = {**SYSTEM, 50: pack("!I", number("10.0.0.78")), 54: b"\x0a\0\0\x03"}
        for kind, options in ((DISCOVER, SYSTEM), (REQUEST, taking), (None, {})):
            self.assertEqual(server.say(kind, options), [])
        self.assertEqual((len(server.machines), server.events), (0, []))
        server.say(DISCOVER, UEFI)
        server.say(REQUEST, taking)
        self.assertIs(server.machines.at(IPv4Address("10.0.0.78")), server.machine())

    def test_refused(self) -> None:
        """The address of a machine that is refused is learnt with the refusal, so that it gets no file there either."""
        server = Server(PROXY, access=Access(*[Verdict(False, "no")] * 2))
        server.say(DISCOVER, UEFI)
        server.say(REQUEST, {**UEFI, 50: pack("!I", number("10.0.0.77")), 54: b"\x0a\0\0\x03"})
        machine = server.machines.at(IPv4Address("10.0.0.77"))
        self.assertEqual(machine.refusal, Refusal("no"))

    def test_never_an_address(self) -> None:
        """Nothing is ever written down."""
        server = Server(PROXY)
        for options in (BIOS, UEFI, UEFI_HTTP, IPXE):
            server.say(DISCOVER, options)
        self.assertEqual({sent.address for sent in server.wire.sent}, {0})
        self.assertEqual(server.store.claims, [])
