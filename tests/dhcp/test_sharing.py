"""Two servers on one network, with one store."""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack

from twisted.internet.defer import fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp import sharing
from pybootd.dhcp.options import dotted
from pybootd.dhcp.sharing import PAUSE
from pybootd.errors import StoreAway
from pybootd.events import Ignored
from pybootd.leases.lease import Lease, State
from tests.support.dhcp import ACK, DISCOVER, INFORM, MAC, NAK, OFFER, RELEASE, REQUEST, SYSTEM, number
from tests.support.server import NOW, Sent, Server, mac
from tests.support.shared import Common, Door

SIMPLE = """
[bootpd]
pool_start = 10.0.0.100
pool_count = 32
allow_simple_dhcp = yes
lease_time = 1000
[tftpd]
root = /srv
"""
SMALL = SIMPLE.replace("= 32", "= 8")


class TwoTestCase(SynchronousTestCase):
    """
    Two servers in one virtual time, C{one} and C{other}; each with its own door to the store.

    They have the same address here, so what one of them hears is said to it alone.
    """

    def build(self, text: str = SIMPLE, *, reclaim: bool = False, conflict_check: bool = False) -> None:
        """Switch them on."""
        self.clock = Clock()
        self.clock.advance(NOW)
        self.common = Common(self.clock.seconds)
        self.doors = Door(self.common), Door(self.common)
        self.one, self.other = (
            Server(text, shared=door, clock=self.clock, reclaim=reclaim, conflict_check=conflict_check)
            for door in self.doors
        )

    def setUp(self) -> None:
        self.build()

    def kinds(self, sent: Sequence[Sent]) -> list[tuple[int, str]]:
        """What was answered: the kind, and the address."""
        return [(one.kind, dotted(one.address)) for one in sent]

    def renew(self, server: Server, address: int, machine: bytes = MAC) -> list[Sent]:
        """A machine that has an address wants to keep it (REBINDING)."""
        return server.say(REQUEST, SYSTEM, ciaddr=dotted(address), mac=machine)


class KnownTests(TwoTestCase):
    """What the other server knows counts here, too."""

    def test_slices(self) -> None:
        """New machines get addresses from each server's own part of the pool, without a word between them."""
        mine = [self.one.obtain(SYSTEM, mac=mac(index)).address for index in range(6)]
        its = [self.other.obtain(SYSTEM, mac=mac(index)).address for index in range(6, 12)]
        self.assertEqual(len({*mine, *its}), 12)
        self.assertEqual({lease.address for lease in self.common.leases.values()}, {*mine, *its})

    def test_offered(self) -> None:
        """A machine that one gave an address is offered the same by the other."""
        address = self.one.obtain(SYSTEM).address
        (offer,) = self.other.say(DISCOVER, SYSTEM)
        self.assertEqual((offer.kind, offer.address), (OFFER, address))

    def test_renewed(self) -> None:
        """It keeps its address with the other, which asks once and knows it then."""
        address = self.one.obtain(SYSTEM).address
        self.assertEqual(self.kinds(self.renew(self.other, address)), [(ACK, dotted(address))])
        asked = len(self.doors[1].asked)
        self.assertEqual(self.kinds(self.renew(self.other, address)), [(ACK, dotted(address))])
        self.assertEqual(len(self.doors[1].asked), asked)

    def test_released(self) -> None:
        """It may give it back to the other."""
        address = self.one.obtain(SYSTEM).address
        self.other.say(RELEASE, {}, ciaddr=dotted(address), to="10.0.0.1")
        self.assertIs(self.common.leases[address].state, State.RELEASED)

    def test_stranger(self) -> None:
        """Another machine's address is a NAK, whoever gave it."""
        address = self.one.obtain(SYSTEM).address
        self.assertEqual([kind for kind, _ in self.kinds(self.renew(self.other, address, mac(7)))], [])
        self.other.say(DISCOVER, SYSTEM, mac=mac(8))
        self.other.obtain(SYSTEM)
        self.assertEqual([kind for kind, _ in self.kinds(self.renew(self.other, address, mac(8)))], [NAK])

    def test_moved(self) -> None:
        """A machine whose old address went to another meanwhile is no stranger with its new one."""
        self.build(SMALL, reclaim=True)
        old = self.one.obtain(SYSTEM).address
        self.renew(self.other, old)
        self.clock.advance(1001)
        self.common.leases[old] = Lease(old, mac(5), State.BOUND, self.clock.seconds() + 1000)
        new = number("10.0.0.107")
        self.common.leases[new] = Lease(new, MAC, State.BOUND, self.clock.seconds() + 1000)
        self.assertEqual(self.kinds(self.renew(self.other, new)), [(ACK, dotted(new))])
        self.assertEqual(self.kinds(self.renew(self.other, old)), [(NAK, "0.0.0.0")])

    def test_two_addresses(self) -> None:
        """A machine that has an address here, and speaks of one that the other gave it, keeps that."""
        self.one.obtain(SYSTEM)
        given = number("10.0.0.120")
        self.common.leases[given] = Lease(given, MAC, State.BOUND, NOW + 2000)
        self.assertEqual(self.kinds(self.renew(self.one, given)), [(ACK, dotted(given))])

    def test_gone(self) -> None:
        """A lease that has ended here, and went to another there, is not offered again."""
        old = self.one.obtain(SYSTEM).address
        self.clock.advance(1001)
        self.common.leases[old] = Lease(old, mac(5), State.BOUND, self.clock.seconds() + 1000)
        (offer,) = self.one.say(DISCOVER, SYSTEM)
        self.assertNotEqual(offer.address, old)

    def test_not_asked(self) -> None:
        """Who has its address here, or takes the other's offer, needs no question."""
        address = self.one.obtain(SYSTEM).address
        asked = len(self.doors[0].asked)
        self.one.say(DISCOVER, SYSTEM)
        self.renew(self.one, address)
        chosen = {50: pack("!I", number("10.0.0.130")), 54: pack("!I", number("10.0.0.2"))}
        self.one.say(REQUEST, {**SYSTEM, **chosen}, mac=mac(9))
        self.assertEqual(len(self.doors[0].asked), asked)

    def test_patience(self) -> None:
        """A machine that asks again meanwhile is asked about, and answered, once: what it said last."""
        self.doors[0].held_up = []
        self.one.say(DISCOVER, SYSTEM, xid=1)
        self.one.say(DISCOVER, SYSTEM, xid=2)
        self.doors[0].go_on()
        self.assertEqual([sent.packet.xid for sent in self.one.wire.sent], [2])
        self.assertEqual(self.doors[0].asked, [MAC])

    def test_crowd(self) -> None:
        """How many machines wait for the store's word at once has an end."""
        self.patch(sharing, "ASKED", 2)
        self.doors[0].held_up = []
        for index in range(3):
            self.one.say(DISCOVER, SYSTEM, mac=mac(index))
        self.assertEqual(len(self.doors[0].asked), 2)

    def test_other_settings(self) -> None:
        """Who waits while the configuration is changed is answered by the new one."""
        self.doors[0].held_up = []
        self.one.say(DISCOVER, SYSTEM)
        self.one.turn(SIMPLE + "[host 52-54-00-00-00-01]\nallow = no\n", new_pools=False)
        self.doors[0].go_on()
        self.assertEqual(self.one.wire.sent, [])

    def test_other_pool(self) -> None:
        """A pool that came with other settings is shared as well; leases of before stay known."""
        before = self.one.obtain(SYSTEM).address
        self.one.turn(SIMPLE.replace("10.0.0.100", "10.0.0.200"))
        after = self.one.obtain(SYSTEM, mac=mac(1)).address
        self.assertGreaterEqual(after, number("10.0.0.200"))
        self.other.turn(SIMPLE.replace("10.0.0.100", "10.0.0.200"))
        self.assertNotIn(self.other.obtain(SYSTEM, mac=mac(2)).address, (before, after))
        self.assertEqual(self.kinds(self.renew(self.one, before)), [(ACK, dotted(before))])


class MoreTests(TwoTestCase):
    """A pool is cut into slices, and a server fetches a further one before its own is used up."""

    def test_all(self) -> None:
        """Both give away the whole pool, an address once; who comes then gets none."""
        self.build(SMALL)
        servers = [self.one, self.other] * 4
        given = [server.obtain(SYSTEM, mac=mac(index)).address for index, server in enumerate(servers)]
        self.assertEqual(sorted(given), list(range(number("10.0.0.100"), number("10.0.0.108"))))
        self.assertEqual(self.one.say(DISCOVER, SYSTEM, mac=mac(99)), [])
        (event,) = self.one.told(Ignored)
        self.assertIn("no address left", event.reason)

    def test_crowd(self) -> None:
        """Machines that come faster than slices do are not turned away: they wait for one."""
        self.build(SMALL)
        self.one.obtain(SYSTEM)
        for index in range(4):
            self.one.say(DISCOVER, SYSTEM, mac=mac(index))
        self.assertEqual(len({sent.address for sent in self.one.wire.sent if sent.kind == OFFER}), 5)
        self.assertEqual(self.one.told(Ignored), [])

    def test_probed(self) -> None:
        """The same where each address is asked for first."""
        self.build(SMALL, conflict_check=True)
        for index in range(4):
            self.one.say(DISCOVER, SYSTEM, mac=mac(index))
        for _ in range(8):
            self.one.later(0.6)
        self.assertEqual(len({sent.address for sent in self.one.wire.sent if sent.kind == OFFER}), 4)

    def test_full_slices(self) -> None:
        """Slices whose addresses are all given are passed by, all at once: nobody has to ask for each."""
        self.build(SMALL)
        first = number("10.0.0.100")
        for place in range(7):
            self.common.leases[first + place] = Lease(first + place, mac(place), State.BOUND, NOW + 9000)
        late = Server(SMALL, shared=Door(self.common), clock=self.clock)
        self.common.slices.clear()
        self.assertEqual(late.obtain(SYSTEM, mac=mac(50)).address, first + 7)

    def test_prolonged(self) -> None:
        """With C{reclaim = expired}, a lease that the other prolonged does not count as ended; the next one does."""
        self.build(SMALL, reclaim=True)
        given = [self.one.obtain(SYSTEM, mac=mac(index)).address for index in range(7)]
        self.clock.advance(900)
        for index in range(6):
            self.renew(self.other, given[index], mac(index))
        self.clock.advance(200)
        self.assertEqual(self.one.obtain(SYSTEM, mac=mac(50)).address, given[6])
        self.assertEqual(self.one.say(DISCOVER, SYSTEM, mac=mac(51)), [])
        self.assertEqual([sent for sent in self.one.wire.sent if sent.kind == NAK], [])

    def test_prolonged_unknown(self) -> None:
        """Whether it did cannot be asked: nobody gets the address."""
        self.build(SMALL, reclaim=True)
        for index in range(7):
            self.one.obtain(SYSTEM, mac=mac(index))
        self.clock.advance(1100)
        find = self.doors[0].find
        self.patch(self.doors[0], "find", lambda key: find(key) if key == mac(50) else fail(StoreAway("away")))
        self.assertEqual(self.one.say(DISCOVER, SYSTEM, mac=mac(50)), [])
        self.assertIn("store", self.one.told(Ignored)[0].reason)

    def test_exhausted(self) -> None:
        """Where there is no more, the store is not asked again for each machine."""
        self.build(SMALL)
        for index in range(7):
            self.one.obtain(SYSTEM, mac=mac(index))
        for index in range(20, 30):
            self.one.say(DISCOVER, SYSTEM, mac=mac(index))
        asked = self.doors[0].reserved
        self.one.say(DISCOVER, SYSTEM, mac=mac(31))
        self.assertEqual(self.doors[0].reserved, asked)
        self.clock.advance(PAUSE)
        self.one.say(DISCOVER, SYSTEM, mac=mac(32))
        self.assertEqual(self.doors[0].reserved, asked + 1)

    def test_lost_slice(self) -> None:
        """A slice that another took after a silence costs one NAK; then the server knows what it holds."""
        self.build()
        (offer,) = self.one.say(DISCOVER, SYSTEM)
        for place, owner in list(self.common.slices.items()):
            if owner is self.doors[0]:
                self.common.slices[place] = self.doors[1]
        self.common.leases[offer.address] = Lease(offer.address, mac(5), State.BOUND, NOW + 1000)
        (nak,) = self.one.take(offer, SYSTEM)
        self.assertEqual(nak.kind, NAK)
        (again,) = self.one.say(DISCOVER, SYSTEM)
        mine = [place for place, owner in self.common.slices.items() if owner is self.doors[0]]
        self.assertTrue(any(again.address in place for place in mine), dotted(again.address))


class AwayTests(TwoTestCase):
    """The store cannot be reached."""

    def test_known(self) -> None:
        """Who has a lease keeps it, for as long as it was promised before, and no longer."""
        address = self.one.obtain(SYSTEM).address
        self.doors[0].away = True
        self.clock.advance(400)
        (ack,) = self.renew(self.one, address)
        self.assertEqual((ack.kind, ack.packet.options[51]), (ACK, pack("!I", 600)))
        self.clock.advance(601)
        self.assertEqual(self.renew(self.one, address), [])

    def test_new(self) -> None:
        """Who is new gets no answer; when the store is back, it gets one."""
        self.doors[0].away = True
        self.assertEqual(self.one.say(DISCOVER, SYSTEM), [])
        self.assertIn("store", self.one.told(Ignored)[0].reason)
        self.doors[0].away = False
        self.assertEqual(self.one.obtain(SYSTEM).kind, ACK)

    def test_nobody_is_wrong(self) -> None:
        """A machine that speaks of an address that the other may have given it is told nothing, least of all NAK."""
        self.one.obtain(SYSTEM)
        self.doors[0].away = True
        self.assertEqual(self.renew(self.one, number("10.0.0.120")), [])

    def test_no_more(self) -> None:
        """Who waits for a slice that cannot be had is not told that the pool is empty."""
        self.build(SMALL)
        self.one.say(DISCOVER, SYSTEM, mac=mac(1))
        self.one.say(DISCOVER, SYSTEM, mac=mac(2))
        before = len(self.one.wire.sent)
        door = self.doors[0]
        self.patch(door, "reserve", lambda first, count: fail(StoreAway("away")))
        for index in range(3, 8):
            self.one.say(DISCOVER, SYSTEM, mac=mac(index))
        self.assertLess(len(self.one.wire.sent), before + 5)
        for event in self.one.told(Ignored):
            self.assertIn("store", event.reason)

    def test_information(self) -> None:
        """Who needs information only gets it all the same."""
        self.doors[0].away = True
        (ack,) = self.one.say(INFORM, SYSTEM, ciaddr="10.0.0.9", source=("10.0.0.9", 68))
        self.assertEqual(ack.kind, ACK)

    def test_broken(self) -> None:
        """A store with a mistake in it is told with its traceback, and nobody is promised anything."""

        def find(key: bytes) -> object:
            raise ZeroDivisionError

        self.patch(self.doors[0], "find", find)
        self.assertEqual(self.one.say(DISCOVER, SYSTEM), [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
