"""The server at work: whole lives of machines, what has to be waited for, and what is told about it."""

from __future__ import annotations

from ipaddress import IPv4Address
from struct import pack

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.delivery import Way
from pybootd.errors import AccessUnavailable
from pybootd.events import Conflict, Declined, Ignored, Leased, Offered, Refused, Released, Seen
from pybootd.interfaces import Phase, Verdict
from pybootd.machine import Firmware, Refusal, Stage
from tests.support.dhcp import (
    ACK,
    BIOS,
    DECLINE,
    DISCOVER,
    INFORM,
    IPXE,
    MAC,
    NAK,
    OFFER,
    OTHER,
    RELEASE,
    REQUEST,
    SYSTEM,
    UEFI,
    UEFI_HTTP,
    USUAL,
    UUID,
    number,
)
from tests.support.server import Access, Sent, Server, mac

FIRST, SECOND, THIRD = (number(f"10.0.0.{last}") for last in (100, 101, 102))
DUID = {**SYSTEM, 61: b"\xff\x00\x00\x00\x01\x00\x01duid"}
SIMPLE = USUAL.replace("[bootpd]", "[bootpd]\nallow_simple_dhcp = yes")
PROXY = USUAL.replace("pool_start = 10.0.0.100\npool_count = 3", "mode = proxy\ninterface = eth0")


class LifeTests(SynchronousTestCase):
    """DISCOVER, OFFER, REQUEST, ACK, and what comes after."""

    def life(self, options: dict[int, bytes], file: bytes) -> Server:
        """One machine gets its address and its file."""
        server = Server()
        (offer,) = server.say(DISCOVER, options)
        self.assertEqual((offer.kind, offer.address, offer.file), (OFFER, FIRST, file))
        self.assertEqual(server.store.claims, [])
        (ack,) = server.take(offer, options)
        self.assertEqual((ack.kind, ack.address, ack.file), (ACK, FIRST, file))
        self.assertEqual([claim.lease.address for claim in server.store.claims], [FIRST])
        kinds = [type(event) for event in server.events]
        self.assertEqual(kinds, [Seen, Offered, Seen, Leased])
        return server

    def test_bios(self) -> None:
        """A BIOS ROM."""
        server = self.life(BIOS, b"pxelinux.0")
        machine = server.machine()
        self.assertEqual((machine.stage, machine.firmware, machine.architecture), (Stage.LOADING, Firmware.PXE, 0))
        self.assertIs(server.machines.at(IPv4Address(FIRST)), machine)

    def test_uefi(self) -> None:
        """UEFI PXE."""
        self.life(UEFI, b"grub.efi")

    def test_http_boot(self) -> None:
        """UEFI HTTP boot."""
        self.life(UEFI_HTTP, b"http://10.0.0.1/http.efi")

    def test_ipxe(self) -> None:
        """iPXE."""
        self.life(IPXE, b"http://10.0.0.1/boot.ipxe")

    def test_one_machine(self) -> None:
        """ROM, loader and system of one machine, each with an identifier of its own, get one address."""
        server = Server()
        phases = ({**UEFI, 61: b"\0" + UUID}, {**IPXE, 93: b"\0\7", 61: b"\1" + MAC}, DUID)
        acks = [server.obtain(options) for options in phases]
        self.assertEqual([ack.address for ack in acks], [FIRST] * 3)
        self.assertEqual([event.boot for event in server.told(Leased)], [True, True, False])
        self.assertEqual(server.machine().stage, Stage.RUNNING)

    def test_same_address_always(self) -> None:
        """Long after its lease has ended a machine gets its address again, though others came meanwhile."""
        server = Server()
        server.obtain(BIOS)
        server.obtain(BIOS, mac=OTHER)
        server.clock.advance(10_000_000)
        server.obtain(BIOS, mac=mac(3))
        self.assertEqual(server.obtain(BIOS, mac=OTHER).address, SECOND)
        self.assertEqual(server.obtain(BIOS).address, FIRST)

    def test_renewal(self) -> None:
        """A renewal goes to the address, is written down, and told."""
        server = Server()
        server.obtain(BIOS)
        server.clock.advance(43200)
        (ack,) = server.say(REQUEST, SYSTEM, ciaddr="10.0.0.100", to="10.0.0.1", source=("10.0.0.100", 68))
        self.assertEqual((ack.kind, ack.to.way, ack.to.address), (ACK, Way.ROUTED, FIRST))
        self.assertEqual(server.store.claims[-1].lease.expires, server.clock.seconds() + 86400)

    def test_next_program(self) -> None:
        """What a machine loads asks again: its lease is as it was written down, and nobody waits for a disk."""
        server = Server()
        server.obtain(BIOS)
        server.clock.advance(20)
        server.store.waiting = []
        ack = server.obtain({**IPXE, 93: b"\0\0"})
        self.assertEqual((ack.kind, ack.address), (ACK, FIRST))
        self.assertEqual(server.store.waiting, [])
        self.assertEqual(server.told(Leased)[-1].expires, server.table.at(FIRST).expires)
        self.assertEqual(server.table.offered(MAC, server.clock.seconds()), 0)
        # the system says its name: that is to be remembered
        server.store.waiting = None
        server.obtain({**SYSTEM, 12: b"lab7"})
        self.assertEqual(server.store.claims[-1].lease.hostname, "lab7")
        server.obtain(BIOS)
        self.assertEqual(server.table.at(FIRST).hostname, "lab7")
        self.assertEqual(len(server.store.claims), 2)

    def test_asked_twice(self) -> None:
        """The same REQUEST again, sent anew or heard by two ways, is answered, and told once."""
        server = Server()
        (offer,) = server.say(DISCOVER, BIOS)
        for _ in range(2):
            (ack,) = server.take(offer, BIOS)
            self.assertEqual((ack.kind, ack.address), (ACK, FIRST))
        self.assertEqual(len(server.told(Leased)), 1)
        server.say(RELEASE, {}, ciaddr="10.0.0.100", to="10.0.0.1")
        server.obtain(BIOS)
        self.assertEqual(len(server.told(Leased)), 2)

    def test_release(self) -> None:
        """A released address is told, and kept for its machine while there are others."""
        server = Server()
        server.obtain(BIOS)
        self.assertEqual(server.say(RELEASE, {}, ciaddr="10.0.0.100", to="10.0.0.1"), [])
        (event,) = server.told(Released)
        self.assertEqual((event.mac, event.address), ("52:54:00:00:00:01", IPv4Address(FIRST)))
        self.assertEqual(str(event.uuid)[:8], "77aabbcc")
        self.assertIsNone(server.machines.at(IPv4Address(FIRST)))
        self.assertEqual(server.obtain(BIOS, mac=OTHER).address, SECOND)
        self.assertEqual(server.obtain(BIOS).address, FIRST)

    def test_decline(self) -> None:
        """A declined address rests; the machine gets another one."""
        server = Server()
        server.obtain(BIOS)
        server.say(DECLINE, {50: pack("!I", FIRST), 54: b"\x0a\0\0\1"})
        self.assertEqual([event.address for event in server.told(Declined)], [IPv4Address(FIRST)])
        self.assertEqual(server.obtain(BIOS).address, SECOND)
        self.assertEqual(server.obtain(BIOS, mac=OTHER).address, THIRD)
        self.assertEqual(server.say(DISCOVER, BIOS, mac=mac(3)), [])
        server.clock.advance(3601)
        self.assertEqual(server.obtain(BIOS, mac=mac(3)).address, FIRST)

    def test_declined_by_a_stranger(self) -> None:
        """A stranger's DECLINE or RELEASE changes nothing."""
        server = Server()
        server.obtain(BIOS)
        server.say(DECLINE, {50: pack("!I", FIRST)}, mac=OTHER)
        server.say(RELEASE, {}, ciaddr="10.0.0.100", mac=OTHER, to="10.0.0.1")
        self.assertEqual(server.obtain(BIOS).address, FIRST)

    def test_other_server_chosen(self) -> None:
        """The address of an offer that was not taken is free at once."""
        server = Server(USUAL.replace("pool_count = 3", "pool_count = 1"))
        server.say(DISCOVER, BIOS)
        self.assertEqual(server.say(DISCOVER, BIOS, mac=OTHER), [])
        server.say(REQUEST, {**BIOS, 50: pack("!I", number("10.0.0.9")), 54: b"\x0a\0\0\x09"})
        self.assertEqual(server.obtain(BIOS, mac=OTHER).address, FIRST)

    def test_offers_end(self) -> None:
        """An offer is held for a minute, and then free for others."""
        server = Server(USUAL.replace("pool_count = 3", "pool_count = 1"))
        server.say(DISCOVER, BIOS)
        server.clock.advance(59)
        self.assertEqual(server.say(DISCOVER, BIOS, mac=OTHER), [])
        server.clock.advance(2)
        self.assertEqual(server.obtain(BIOS, mac=OTHER).address, FIRST)

    def test_pool_empty(self) -> None:
        """Who comes too late is not answered, and it is said what to do."""
        server = Server()
        for index in range(3):
            server.obtain(BIOS, mac=mac(index))
        self.assertEqual(server.say(DISCOVER, BIOS), [])
        (event,) = server.told(Ignored)
        self.assertIn("pool_count", event.reason)
        self.assertIn("[bootpd] pool_count", event.setting)
        self.assertEqual(server.machine().stage, Stage.REFUSED)

    def test_reclaimed(self) -> None:
        """C{reclaim = expired}: an ended lease's address goes to a new machine, and no more to the old one."""
        server = Server(USUAL.replace("pool_count = 3", "pool_count = 1"), reclaim=True)
        server.obtain(BIOS)
        server.clock.advance(86401)
        (offer,) = server.say(DISCOVER, BIOS, mac=OTHER)
        self.assertEqual(server.say(DISCOVER, BIOS), [])
        (nak,) = server.say(REQUEST, {**BIOS, 50: pack("!I", FIRST)})
        self.assertEqual(nak.kind, NAK)
        (ack,) = server.take(offer, BIOS, mac=OTHER)
        self.assertEqual((ack.kind, ack.address), (ACK, FIRST))
        self.assertEqual(server.say(DISCOVER, BIOS), [])

    def test_wish(self) -> None:
        """A machine that remembers an address gets it again, though the server has forgotten; if it is free."""
        server = Server()
        (offer,) = server.say(DISCOVER, {**BIOS, 50: pack("!I", THIRD)})
        self.assertEqual(offer.address, THIRD)
        (offer,) = server.say(DISCOVER, {**BIOS, 50: pack("!I", THIRD)}, mac=OTHER)
        self.assertEqual(offer.address, FIRST)
        (offer,) = server.say(DISCOVER, {**BIOS, 50: pack("!I", number("10.0.0.7"))}, mac=mac(3))
        self.assertEqual(offer.address, SECOND)

    def test_nak(self) -> None:
        """A NAK is told, with its reason."""
        server = Server()
        (nak,) = server.say(REQUEST, {**BIOS, 50: pack("!I", number("192.168.7.7"))})
        self.assertEqual((nak.kind, nak.to.way), (NAK, Way.BROADCAST))
        self.assertIn("192.168.7.7", server.told(Refused)[0].reason)

    def test_bootp(self) -> None:
        """A plain BOOTP client has its address for ever."""
        server = Server(SIMPLE)
        (reply,) = server.say(None, {})
        self.assertEqual((reply.kind, reply.address, reply.packet.file.rstrip(b"\0")), (0, FIRST, b"pxelinux.0"))
        self.assertEqual(len(server.told(Leased)), 1)

    def test_bootp_is_no_proof(self) -> None:
        """A BOOTP request says nothing of whether the machine boots: C{allow_simple_dhcp = no} stays shut."""
        server = Server()
        self.assertEqual(server.say(None, {}), [])
        self.assertEqual(server.say(None, {}), [])
        self.assertEqual(server.say(DISCOVER, SYSTEM), [])

    def test_inform(self) -> None:
        """An INFORM is answered to the address that the client has."""
        server = Server(SIMPLE)
        (ack,) = server.say(INFORM, SYSTEM, ciaddr="10.0.0.9", source=("10.0.0.9", 68))
        self.assertEqual((ack.kind, ack.address, ack.to.address), (ACK, 0, number("10.0.0.9")))
        self.assertEqual(server.store.claims, [])

    def test_raspberry_pi_3(self) -> None:
        """A Pi 3 has its lease with the OFFER, sent to its hardware address, with an ARP frame behind it."""
        server = Server(conflict_check=False)
        (offer,) = server.say(DISCOVER, {**BIOS, 97: b"\0" + b"\x44" * 16}, flags=0x8000)
        self.assertEqual((offer.kind, offer.to.way, offer.to.chaddr), (OFFER, Way.HARDWARE, MAC))
        self.assertEqual(server.wire.announced, [MAC])
        self.assertEqual([event.address for event in server.told(Leased)], [IPv4Address(FIRST)])
        self.assertIsNotNone(server.machines.at(IPv4Address(FIRST)))

    def test_boot_file_size(self) -> None:
        """Who asks for option 13 is told the file's blocks of 512 bytes, where the size is known."""
        asked = []
        server = Server(size_of=lambda name, machine: asked.append((name, machine.mac)) or 5000)
        ack = server.obtain(UEFI)
        self.assertEqual(ack.packet.options[13], b"\0\x0a")
        self.assertEqual(asked[0], ("grub.efi", "52:54:00:00:00:01"))
        self.assertNotIn(13, server.obtain(BIOS, mac=OTHER).packet.options)


class CommitTests(SynchronousTestCase):
    """An ACK is a promise: nothing leaves before it is written down."""

    def test_waits(self) -> None:
        """Neither the ACK nor one for a repeated REQUEST leaves before the commit; then one does."""
        server = Server()
        server.store.waiting = []
        (offer,) = server.say(DISCOVER, BIOS)
        self.assertEqual(server.take(offer, BIOS), [])
        self.assertEqual(server.take(offer, BIOS), [])
        self.assertEqual(server.told(Leased), [])
        (commit,) = server.store.waiting
        commit.callback([True])
        self.assertEqual([sent.kind for sent in server.wire.sent], [OFFER, ACK])
        self.assertEqual(len(server.told(Leased)), 1)

    def test_release_waits_too(self) -> None:
        """A RELEASE is told when it is durable."""
        server = Server()
        server.obtain(BIOS)
        server.store.waiting = []
        server.say(RELEASE, {}, ciaddr="10.0.0.100", to="10.0.0.1")
        self.assertEqual(server.told(Released), [])
        server.store.waiting[0].callback([True])
        self.assertEqual(len(server.told(Released)), 1)

    def test_broken_store(self) -> None:
        """With the disk full nothing new is promised; what is on record is, until it ends; and it recovers."""
        server = Server()
        server.obtain(BIOS)
        (offer,) = server.say(DISCOVER, BIOS, mac=OTHER)
        server.store.broken = True
        server.clock.advance(1000)
        self.assertEqual(server.take(offer, BIOS, mac=OTHER), [])
        self.assertIn("store", server.told(Ignored)[-1].reason)
        (ack,) = server.say(REQUEST, SYSTEM, ciaddr="10.0.0.100", to="10.0.0.1")
        self.assertEqual(ack.packet.options[51], pack("!I", 85400))
        server.store.broken = False
        server.clock.advance(5)
        self.assertEqual(server.obtain(BIOS, mac=OTHER).address, SECOND)

    def test_void(self) -> None:
        """Another server has given the address away: a NAK, so that the machine begins anew at once."""
        server = Server()
        (offer,) = server.say(DISCOVER, BIOS)
        server.store.void = True
        (nak,) = server.take(offer, BIOS)
        self.assertEqual(nak.kind, NAK)
        server.store.void = False
        self.assertEqual(server.machines.at(IPv4Address(FIRST)), None)

    def test_together(self) -> None:
        """What arrives in one wake-up of the reactor is one commit."""
        server = Server(conflict_check=False)
        offers = [server.say(DISCOVER, BIOS, mac=mac(index))[0] for index in range(3)]
        server.store.waiting = []
        advance, server.clock.advance = server.clock.advance, lambda seconds: None
        for index, offer in enumerate(offers):
            server.take(offer, BIOS, mac=mac(index))
        advance(0)
        self.assertEqual(len(server.store.waiting), 1)
        server.store.waiting[0].callback([True] * 3)
        self.assertEqual([sent.kind for sent in server.wire.sent[3:]], [ACK] * 3)


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


class FixedAddressTests(SynchronousTestCase):
    """C{[static_dhcp]} beside leases that were there before."""

    def test_in_use(self) -> None:
        """While another machine still has the address, its owner gets one of the pool; then its own."""
        server = Server(extra="[static_dhcp]\n52-54-00-00-00-01 = 10.0.0.50\n")
        other = Server(SIMPLE).obtain(SYSTEM, mac=OTHER)
        self.assertEqual(other.address, FIRST)
        lease = server.obtain(BIOS, mac=OTHER)
        moved = Server(extra="[static_dhcp]\n52-54-00-00-00-01 = 10.0.0.100\n")
        for claim in server.store.claims:
            moved.table.record(claim.lease)
        self.assertEqual(moved.obtain(BIOS).address, SECOND)
        (nak,) = moved.say(REQUEST, {}, ciaddr="10.0.0.100", mac=OTHER, to="10.0.0.1")
        self.assertEqual((nak.kind, lease.address), (NAK, FIRST))
        moved.clock.advance(86401)
        self.assertEqual(moved.obtain(BIOS).address, FIRST)

    def test_declined(self) -> None:
        """A fixed address that somebody else uses rests like any other; no endless NAKs."""
        server = Server(extra="[static_dhcp]\n52-54-00-00-00-01 = 10.0.0.50\n")
        fixed = server.obtain(BIOS).address
        server.say(DECLINE, {50: pack("!I", fixed)})
        self.assertEqual((fixed, server.obtain(BIOS).address), (number("10.0.0.50"), FIRST))


class AccessTests(SynchronousTestCase):
    """The access backends are asked first, and nobody waits for another's verdict."""

    def test_denied(self) -> None:
        """A refusal is silence; event and setting say why."""
        server = Server(access=Access(Verdict(False, "not in [mac]", "x.ini:3: [mac]")))
        self.assertEqual(server.say(DISCOVER, BIOS), [])
        (event,) = server.told(Ignored)
        self.assertEqual((event.reason, event.setting), ("not in [mac]", "x.ini:3: [mac]"))

    def test_allowed_again(self) -> None:
        """A refusal holds for files until the machine is allowed again; what it gives back changes nothing."""
        verdicts = [Verdict(True, ""), Verdict(False, "no", "x.ini:1"), Verdict(True, "")]
        server = Server(USUAL, access=Access(*verdicts))
        server.say(DISCOVER, BIOS)
        self.assertIsNone(server.machine().refusal)
        server.say(DISCOVER, BIOS)
        self.assertEqual(server.machine().refusal, Refusal("no", "x.ini:1"))
        server.say(RELEASE, {})
        self.assertIsNotNone(server.machine().refusal)
        server.say(DISCOVER, BIOS)
        self.assertIsNone(server.machine().refusal)

    def test_named(self) -> None:
        """Host name and boot file that the backend names are handed out."""
        server = Server(access=Access(*[Verdict(True, "", hostname="node7", boot_file="seven.0")] * 2))
        ack = server.obtain(BIOS)
        self.assertEqual((ack.file, ack.packet.options[12]), (b"seven.0", b"node7"))
        self.assertEqual(server.machine().boot_file, "seven.0")

    def test_slow(self) -> None:
        """While a verdict is awaited others are served; the machine's latest question is answered, once."""
        waiting: Deferred[Verdict] = Deferred()
        access = Access(waiting)
        server = Server(access=access)
        self.assertEqual(server.say(DISCOVER, BIOS, xid=1), [])
        self.assertEqual(server.say(DISCOVER, BIOS, xid=2), [])
        self.assertEqual(len(server.say(DISCOVER, BIOS, mac=OTHER)), 1)
        waiting.callback(Verdict(True, ""))
        self.assertEqual([sent.packet.xid for sent in server.wire.sent[1:]], [2])
        self.assertEqual(len(access.questions), 2)

    def test_silent(self) -> None:
        """No word in time is a refusal."""
        server = Server(access=Access(Deferred()), access_timeout=3.0)
        server.say(DISCOVER, BIOS)
        self.assertEqual(server.later(3), [])
        self.assertIn("no answer within 3 s", server.told(Ignored)[0].reason)
        self.assertEqual(len(server.say(DISCOVER, BIOS)), 1)

    def test_unavailable(self) -> None:
        """A backend that cannot say, at once or later, refuses."""
        later: Deferred[Verdict] = Deferred()
        server = Server(access=Access(AccessUnavailable("no route"), later))
        self.assertEqual(server.say(DISCOVER, BIOS), [])
        server.say(DISCOVER, BIOS)
        later.errback(AccessUnavailable("503"))
        self.assertEqual(server.wire.sent, [])
        self.assertEqual(
            ["no route" in event.reason or "503" in event.reason for event in server.told(Ignored)], [True] * 2
        )

    def test_broken(self) -> None:
        """A backend that breaks keeps the door shut, and its failure is logged."""
        server = Server(access=Access(ZeroDivisionError("oops")))
        self.assertEqual(server.say(DISCOVER, BIOS), [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("oops", server.told(Ignored)[0].reason)

    def test_too_many(self) -> None:
        """So many questions at once and no more; the rest may try again.  The last quarter is for known machines."""
        access = Access()
        server = Server(access=access, questions=4)
        server.obtain(BIOS)
        access.questions.clear()
        access.verdicts += [Deferred() for _ in range(10)]
        for index in range(10):
            server.say(DISCOVER, BIOS, mac=mac(index))
        self.assertEqual(len(access.questions), 3)
        self.assertEqual(len(server.told(Ignored)), 7)
        server.say(DISCOVER, BIOS)
        self.assertEqual(access.questions[-1].mac, MAC)
        self.assertEqual((len(access.questions), len(server.told(Ignored))), (4, 7))

    def test_phases(self) -> None:
        """A verdict on booting does not let the system in, not even while it is awaited."""
        waiting: Deferred[Verdict] = Deferred()
        access = Access(waiting, Verdict(False, "no systems"))
        server = Server(SIMPLE, access=access)
        server.say(DISCOVER, BIOS)
        server.say(DISCOVER, SYSTEM)
        waiting.callback(Verdict(True, ""))
        self.assertEqual([sent.file for sent in server.wire.sent], [b"pxelinux.0"])
        self.assertEqual([question.phase for question in access.questions], [Phase.BOOT, Phase.SYSTEM])

    def test_stage_changed(self) -> None:
        """A backend is told when a machine goes from booting to its system and back."""
        access = Access()
        server = Server(access=access)
        for options in (BIOS, SYSTEM, BIOS):
            server.obtain(options)
        self.assertEqual([question.stage_changed for question in access.questions], [True, False] * 3)

    def test_uuid_remembered(self) -> None:
        """The UUID of the boot phase is asked about in the system's phase, which does not repeat it."""
        access = Access()
        server = Server(access=access)
        server.obtain(BIOS)
        server.obtain(SYSTEM)
        self.assertEqual({question.uuid for question in access.questions}, {UUID})

    def test_uuid_on_record(self) -> None:
        """Also when only the lease remembers it."""
        server = Server()
        server.obtain(BIOS)
        access = Access()
        again = Server(access=access)
        again.table.record(server.store.claims[0].lease)
        again.say(DISCOVER, SYSTEM)
        self.assertEqual(access.questions[0].uuid, UUID)

    def test_host(self) -> None:
        """C{[host] allow} decides by itself, and no backend is asked."""
        access = Access()
        server = Server(extra="[host 52-54-00-00-00-01]\nallow = yes\n", access=access)
        self.assertEqual(len(server.say(DISCOVER, BIOS)), 1)
        self.assertEqual(access.questions, [])

    def test_giving_back_is_free(self) -> None:
        """Whoever was refused meanwhile may still give its address back."""
        access = Access(Verdict(True, ""), Verdict(True, ""))
        server = Server(access=access)
        server.obtain(BIOS)
        server.say(RELEASE, {}, ciaddr="10.0.0.100", to="10.0.0.1")
        self.assertEqual((len(server.told(Released)), len(access.questions)), (1, 2))


class FormTests(SynchronousTestCase):
    """Firmware that ignores an answer is told in another way."""

    def form(self, sent: Sent) -> tuple[bool, bool]:
        """Whether it has options 60 and 43."""
        return 60 in sent.packet.options, 43 in sent.packet.options

    def test_again(self) -> None:
        """The same DISCOVER again: the next form; after the last the first; the REQUEST is answered in the last one."""
        server = Server()
        forms = []
        for pause in (0, 4, 8, 16):
            server.clock.advance(pause)
            (offer,) = server.say(DISCOVER, UEFI)
            forms.append(self.form(offer))
        self.assertEqual(forms, [(False, False), (True, True), (True, False), (False, False)])

    def test_copies(self) -> None:
        """A copy that comes by another way is not the same question again."""
        server = Server()
        server.say(DISCOVER, UEFI)
        (offer,) = server.say(DISCOVER, UEFI)
        self.assertEqual(self.form(offer), (False, False))

    def test_learnt(self) -> None:
        """The form that was taken is remembered, for this machine's ACK and for the next machine of its make."""
        server = Server()
        server.say(DISCOVER, UEFI)
        server.clock.advance(4)
        (offer,) = server.say(DISCOVER, UEFI)
        (ack,) = server.take(offer, UEFI)
        self.assertEqual((self.form(offer), self.form(ack)), ((True, True), (True, True)))
        (sister,) = server.say(DISCOVER, UEFI, mac=OTHER)
        self.assertEqual(self.form(sister), (True, True))
        (stranger,) = server.say(DISCOVER, UEFI, mac=mac(1))
        self.assertEqual(self.form(stranger), (False, False))

    def test_refused(self) -> None:
        """Whoever was not answered has not ignored anything: it is told in the usual form when it may boot."""
        refusal = Verdict(False, "not yet")
        server = Server(access=Access(refusal, refusal, refusal))
        for _ in range(3):
            self.assertEqual(server.say(DISCOVER, UEFI), [])
            server.clock.advance(4)
        (offer,) = server.say(DISCOVER, UEFI)
        self.assertEqual(self.form(offer), (False, False))

    def test_menu_ignored(self) -> None:
        """Firmware that asks again instead of showing a menu is told its file, and the log has a line of it."""
        server = Server(extra="[menu]\nInstall = debian.0\n")
        with capturedLogs() as logged:
            (menu,) = server.say(DISCOVER, BIOS)
            server.clock.advance(4)
            (file,) = server.say(DISCOVER, BIOS)
        self.assertEqual((menu.file, file.file), (b"", b"pxelinux.0"))
        lines = [formatEvent(event) for event in logged]
        self.assertEqual(lines, ["52:54:00:00:00:01 or its like ignored the usual answer; now: PXE, direct"])

    def test_one_form(self) -> None:
        """iPXE and HTTP boot have one form only."""
        for options in (IPXE, UEFI_HTTP):
            server = Server()
            (first,) = server.say(DISCOVER, options)
            server.clock.advance(4)
            (second,) = server.say(DISCOVER, options)
            self.assertEqual(first.packet.options, second.packet.options)


class LoopTests(SynchronousTestCase):
    """iPXE that loads itself again and again."""

    NO_SCRIPT = USUAL.replace("ipxe = http://10.0.0.1/boot.ipxe\n", "").replace("pxelinux.0", "undionly.kpxe")

    def test_broken(self) -> None:
        """The fifth time in a row is refused, and it is said which line is missing; later it may try again."""
        server = Server(self.NO_SCRIPT)
        for _ in range(4):
            self.assertEqual(server.obtain(IPXE).file, b"undionly.kpxe")
            server.clock.advance(5)
        self.assertEqual(server.say(DISCOVER, IPXE), [])
        self.assertIn("ipxe = SCRIPT", server.told(Ignored)[0].reason)
        server.clock.advance(60)
        self.assertEqual(len(server.say(DISCOVER, IPXE)), 1)

    def test_restarts(self) -> None:
        """A machine that is switched on every minute is in no loop, nor one that has a script."""
        server = Server(self.NO_SCRIPT)
        for _ in range(10):
            server.obtain(IPXE)
            server.clock.advance(60)
        server = Server()
        for _ in range(10):
            server.obtain(IPXE)
            server.clock.advance(5)


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


class RelayTests(SynchronousTestCase):
    """Networks behind relay agents."""

    FAR = "[subnet 10.20.0.0/16]\npool_start = 10.20.0.10\n"

    def test_relayed(self) -> None:
        """Everything goes to the relay's port 67, and the relay is the router where no other is configured."""
        server = Server(extra=self.FAR)
        ack = server.obtain(BIOS, giaddr="10.20.0.1", to="10.0.0.1", source=("10.20.0.1", 67))
        self.assertEqual((ack.address, ack.packet.options[3]), (number("10.20.0.10"), b"\x0a\x14\0\1"))
        self.assertEqual((ack.to.address, ack.to.port), (number("10.20.0.1"), 67))

    def test_renewal(self) -> None:
        """A machine behind a relay renews its lease with the server itself."""
        server = Server(extra=self.FAR)
        server.obtain(BIOS, giaddr="10.20.0.1", to="10.0.0.1")
        (ack,) = server.say(REQUEST, {}, ciaddr="10.20.0.10", to="10.0.0.1", source=("10.20.0.10", 68))
        self.assertEqual((ack.kind, ack.to.address, ack.to.port), (ACK, number("10.20.0.10"), 68))

    def test_moved(self) -> None:
        """An offer of one network is not made in another, where the machine asks a moment later."""
        server = Server(extra=self.FAR)
        server.say(DISCOVER, BIOS)
        (offer,) = server.say(DISCOVER, BIOS, giaddr="10.20.0.1")
        self.assertEqual(offer.address, number("10.20.0.10"))


class HostileTests(SynchronousTestCase):
    """What strangers send."""

    def test_malformed(self) -> None:
        """Bad datagrams cost a few log lines, and nothing else."""
        lines: list[str] = []

        def observer(event: dict[str, object]) -> None:
            lines.append(str(event.get("log_format")))

        server = Server()
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for _ in range(100):
            server.dhcp.received(b"x" * 30, ("10.0.0.66", 68), 0xFFFFFFFF, 2)
        self.assertEqual(len([line for line in lines if "no request" in line]), 5)
        self.assertEqual((server.wire.sent, len(server.machines)), ([], 0))

    def test_foreign_interface(self) -> None:
        """What comes in on an interface that is not served leaves no trace."""
        server = Server()
        self.assertEqual(server.say(DISCOVER, BIOS, interface=3), [])
        self.assertEqual((server.events, len(server.machines)), ([], 0))

    def test_flood(self) -> None:
        """Five thousand invented machines take what is free for a minute; a known one is served all the while."""
        server = Server(USUAL.replace("pool_count = 3", "pool_count = 100"), offers=64, machines=100)
        server.obtain(BIOS)
        for index in range(5000):
            server.say(DISCOVER, BIOS, mac=mac(index))
        self.assertEqual(server.obtain(BIOS).address, FIRST)
        self.assertLessEqual(len(server.machines), 100)
        server.clock.advance(61)
        self.assertEqual(server.obtain(BIOS, mac=OTHER).kind, ACK)

    def test_flood_of_waiting(self) -> None:
        """The same where each address is asked for first."""
        server = Server(USUAL.replace("pool_count = 3", "pool_end = 10.0.0.250"), conflict_check=True)
        for index in range(3000):
            server.say(DISCOVER, BIOS, mac=mac(index))
        server.later(2)
        server.clock.advance(400)
        server.say(DISCOVER, BIOS)
        self.assertEqual(len(server.later(1)), 1)

    @given(st.binary(max_size=600), st.sampled_from([67, 4011]), st.booleans())
    def test_anything(self, data: bytes, port: int, proxy: bool) -> None:
        """No bytes break it."""
        server = Server(PROXY if proxy else SIMPLE)
        server.dhcp.received(data, ("10.0.0.66", 68), 0xFFFFFFFF, 2, port)
        server.clock.advance(0)
