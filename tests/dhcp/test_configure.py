"""The server at work while its settings change: who waits, who has been promised something, and who asks next."""

from __future__ import annotations

from struct import pack

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pybootd.interfaces import Verdict
from tests.support.dhcp import ACK, BIOS, DISCOVER, MAC, NAK, OFFER, OTHER, REQUEST, USUAL, number
from tests.support.server import Access, Server, mac

FIRST, SECOND = number("10.0.0.100"), number("10.0.0.101")
MOVED = USUAL.replace("10.0.0.100", "10.0.0.150")
FIXED = USUAL + "[static_dhcp]\n52-54-00-00-00-02 = 10.0.0.100\n"


class ConfigureTests(SynchronousTestCase):
    """L{Dhcp.configure}."""

    def test_next(self) -> None:
        """The next request is answered by the new settings; the lease stays."""
        server = Server()
        server.obtain(BIOS)
        server.turn(USUAL.replace("pxelinux.0", "lpxelinux.0"))
        ack = server.obtain(BIOS)
        self.assertEqual((ack.address, ack.file), (FIRST, b"lpxelinux.0"))

    def test_offer_taken_later(self) -> None:
        """An offer of a moment ago is still good where the new settings do not forbid it."""
        server = Server()
        (offer,) = server.say(DISCOVER, BIOS)
        server.turn(USUAL.replace("example.org", "example.net"))
        (ack,) = server.take(offer, BIOS)
        self.assertEqual((ack.kind, ack.address), (ACK, FIRST))

    def test_offer_of_anothers(self) -> None:
        """An address that was offered, and is another machine's own by now, is not given any more."""
        server = Server()
        (offer,) = server.say(DISCOVER, BIOS)
        server.turn(FIXED)
        self.assertEqual([sent.kind for sent in server.take(offer, BIOS)], [NAK])
        self.assertEqual(server.obtain(BIOS, mac=OTHER).address, FIRST)
        self.assertEqual(server.obtain(BIOS).address, SECOND)

    def test_pool_moves(self) -> None:
        """New machines get addresses of the new pool."""
        server = Server()
        server.obtain(BIOS)
        server.turn(MOVED)
        self.assertEqual(server.obtain(BIOS, mac=OTHER).address, number("10.0.0.150"))

    def test_same_pool(self) -> None:
        """A new pool of the same addresses knows what is leased, and what is offered."""
        server = Server()
        server.obtain(BIOS)
        server.say(DISCOVER, BIOS, mac=mac(1))
        server.turn(USUAL)
        self.assertEqual(server.obtain(BIOS, mac=OTHER).address, number("10.0.0.102"))

    def test_being_written(self) -> None:
        """What is being written down is answered as it was decided, and nobody else gets it."""
        server = Server()
        (offer,) = server.say(DISCOVER, BIOS)
        server.store.waiting = []
        self.assertEqual(server.take(offer, BIOS), [])
        server.turn(USUAL.replace("pxelinux.0", "lpxelinux.0"))
        (other,) = server.say(DISCOVER, BIOS, mac=OTHER)
        self.assertNotEqual(other.address, FIRST)
        server.store.waiting[0].callback([True])
        ack = server.wire.sent[-1]
        self.assertEqual((ack.kind, ack.address, ack.file), (ACK, FIRST, b"pxelinux.0"))

    def test_waiting_for_a_probe(self) -> None:
        """Who waits for an address while its pool goes gets one of the new pool."""
        server = Server(conflict_check=True)
        server.wire.sent.clear()
        self.assertEqual(server.say(DISCOVER, BIOS), [])
        server.turn(MOVED, conflict_check=True)
        (offer,) = server.later(3)
        self.assertEqual((offer.kind, offer.address), (OFFER, number("10.0.0.150")))

    def test_probed_already(self) -> None:
        """A pool that stays keeps what was found out: nobody waits anew."""
        server = Server(conflict_check=True)
        server.later(2)
        probed = list(server.wire.probed)
        server.turn(USUAL, new_pools=False, conflict_check=True)
        self.assertEqual(server.say(DISCOVER, BIOS)[0].address, FIRST)
        self.assertEqual(server.wire.probed, probed)

    def test_no_more_probes(self) -> None:
        """Without probes from now on, the addresses that were ready are free at once."""
        server = Server(conflict_check=True)
        server.later(2)
        server.turn(USUAL, new_pools=False, conflict_check=False)
        addresses = {server.obtain(BIOS, mac=mac(index)).address for index in range(3)}
        self.assertEqual(addresses, {FIRST, SECOND, number("10.0.0.102")})

    def test_waiting_for_a_verdict(self) -> None:
        """A verdict that was asked for under the old settings decides nothing under the new ones."""
        verdict: Deferred[Verdict] = Deferred()
        server = Server(access=Access(verdict))
        server.say(DISCOVER, BIOS)
        now = Access(Verdict(False, "shut out by now"))
        server.turn(USUAL, access=now)
        verdict.callback(Verdict(True, "let in before"))
        self.assertEqual(server.wire.sent, [])
        self.assertEqual([question.mac for question in now.questions], [MAC])

    def test_access_opened(self) -> None:
        """Where nobody is asked any more, a machine that waits is served."""
        verdict: Deferred[Verdict] = Deferred()
        server = Server(access=Access(verdict))
        server.say(DISCOVER, BIOS)
        server.turn(USUAL)
        verdict.callback(Verdict(False, "not before"))
        self.assertEqual([sent.kind for sent in server.wire.sent], [OFFER])

    def test_network_gone(self) -> None:
        """A machine of a network that is served no more gets no answer, and nothing breaks."""
        subnet = USUAL + "[subnet 10.1.0.0/24]\npool_start = 10.1.0.10\n"
        server = Server(subnet, conflict_check=True)
        far = {"giaddr": "10.1.0.1", "source": ("10.1.0.1", 67)}
        server.say(DISCOVER, BIOS, **far)  # type: ignore[arg-type]
        server.turn(USUAL, conflict_check=True)
        server.later(3)
        self.assertEqual(server.say(REQUEST, {**BIOS, 50: pack("!I", number("10.1.0.10"))}, **far), [])  # type: ignore
        self.assertEqual(server.wire.sent, [])

    def test_ceiling_of_offers(self) -> None:
        """A lower ceiling counts from the next offer on."""
        server = Server(USUAL.replace("pool_count = 3", "pool_count = 50"))
        for index in range(20):
            server.say(DISCOVER, BIOS, mac=mac(index))
        server.table.limit = 5
        server.say(DISCOVER, BIOS)
        now = server.clock.seconds()
        self.assertEqual(sum(bool(server.table.offered(mac(index), now)) for index in range(20)), 4)
