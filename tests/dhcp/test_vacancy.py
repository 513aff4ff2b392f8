"""Free addresses at which nobody answers."""

from __future__ import annotations

from ipaddress import IPv4Address
from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from pybootd.events import Conflict, Ignored
from tests.support.dhcp import (
    ACK,
    BIOS,
    DISCOVER,
    OTHER,
    REQUEST,
    USUAL,
    number,
)
from tests.support.server import Server, mac

FIRST, SECOND, THIRD = (number(f"10.0.0.{last}") for last in (100, 101, 102))


class ConflictTests(SynchronousTestCase):
    """An address is asked for before it is given for the first time."""

    def server(self, text: str = USUAL) -> Server:
        """A server that has not looked ahead yet, for its probes are under way."""
        return Server(text, conflict_check=True)

    def test_ahead(self) -> None:
        """Addresses found free before do not make even a new machine wait."""
        server = self.server()
        server.later(1)
        self.assertEqual(server.wire.probed, [FIRST, SECOND, THIRD])
        (offer,) = server.say(DISCOVER, BIOS)
        self.assertEqual(offer.address, FIRST)

    def test_waits(self) -> None:
        """A machine that comes before a probe has ended waits for it, with its latest question."""
        server = self.server()
        self.assertEqual(server.say(DISCOVER, BIOS, xid=1), [])
        self.assertEqual(server.say(DISCOVER, BIOS, xid=2), [])
        (offer,) = server.later(0.6)
        self.assertEqual((offer.address, offer.packet.xid), (FIRST, 2))

    def test_occupied(self) -> None:
        """An address at which somebody answers rests, durably, and the next one is given."""
        server = self.server()
        server.wire.occupied = {FIRST, SECOND}
        server.say(DISCOVER, BIOS)
        (offer,) = server.later(0.6)
        self.assertEqual(offer.address, THIRD)
        self.assertEqual([event.address for event in server.told(Conflict)], [IPv4Address(FIRST), IPv4Address(SECOND)])
        server.clock.advance(0)
        self.assertEqual([claim.lease.address for claim in server.store.claims], [FIRST, SECOND])

    def test_still_there(self) -> None:
        """
        Where somebody answers at an address whose lease has ended, that is its machine, which was not told the time:
        nobody else gets the address, and the machine keeps it.
        """
        server = Server(USUAL.replace("pool_count = 3", "pool_count = 1"), conflict_check=True, reclaim=True)
        server.later(1)
        server.obtain(BIOS)
        server.clock.advance(10_000_000)
        server.wire.occupied = {FIRST}
        server.say(DISCOVER, BIOS, mac=OTHER)
        self.assertEqual(server.later(1), [])
        self.assertEqual([event.address for event in server.told(Conflict)], [IPv4Address(FIRST)])
        (ack,) = server.say(REQUEST, BIOS, ciaddr="10.0.0.100", source=("10.0.0.100", 68), to="10.0.0.1")
        self.assertEqual((ack.kind, ack.address), (ACK, FIRST))

    def test_all_occupied(self) -> None:
        """Where all are in use the machine is refused, not left waiting."""
        server = self.server()
        server.wire.occupied = {FIRST, SECOND, THIRD}
        server.say(DISCOVER, BIOS)
        self.assertEqual(server.later(0.6), [])
        self.assertEqual(len(server.told(Ignored)), 1)

    def test_many_at_once(self) -> None:
        """Fifty new machines wait for one probe's time, not for fifty, and each gets an address of its own."""
        server = self.server(USUAL.replace("pool_count = 3", "pool_count = 60"))
        for index in range(50):
            server.say(DISCOVER, BIOS, mac=mac(index))
        offers = [sent.address for sent in (*server.wire.sent, *server.later(0.6))]
        self.assertEqual(len(set(offers)), 50)

    def test_known_machine(self) -> None:
        """A machine that has had an address is never delayed."""
        server = self.server()
        server.later(1)
        server.obtain(BIOS)
        server.clock.advance(10_000)
        self.assertEqual(len(server.say(DISCOVER, BIOS)), 1)

    def test_stale(self) -> None:
        """What was found free long ago is asked for again."""
        server = self.server()
        server.later(1)
        server.clock.advance(1000)
        server.wire.occupied = {FIRST}
        self.assertEqual(server.say(DISCOVER, BIOS), [])
        (offer,) = server.later(0.6)
        self.assertEqual(offer.address, SECOND)

    def test_cannot_be_asked(self) -> None:
        """Where the network cannot be asked, addresses are given unasked."""
        server = Server(conflict_check=False)
        server.wire.probes = False
        self.assertEqual(server.obtain(BIOS).address, FIRST)

    def test_wish(self) -> None:
        """The address that a machine asks for is asked for too."""
        server = self.server()
        server.later(1)
        server.wire.occupied = {THIRD}
        self.assertEqual(server.say(DISCOVER, {**BIOS, 50: pack("!I", THIRD)}), [])
        (offer,) = server.later(0.6)
        self.assertEqual(offer.address, FIRST)
