"""The server at work: whole lives of machines, what has to be waited for, and what is told about it."""

from __future__ import annotations

from ipaddress import IPv4Address
from struct import pack

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import capturedLogs, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.delivery import Way
from pybootd.events import Declined, Ignored, Leased, Offered, Refused, Released, Seen
from pybootd.interfaces import Verdict
from pybootd.machine import Firmware, Stage
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
    PROXY,
    RELEASE,
    REQUEST,
    SIMPLE,
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
        server.obtain(BIOS)
        self.assertEqual(len(server.told(Leased)), 2, "it began anew")
        server.say(RELEASE, {}, ciaddr="10.0.0.100", to="10.0.0.1")
        server.obtain(BIOS)
        self.assertEqual(len(server.told(Leased)), 3)

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

    def test_declines_everything(self) -> None:
        """Who declines whatever it is given lays a few addresses to rest, not the pool; later it may decline again."""
        server = Server(USUAL.replace("pool_count = 3", "pool_count = 10"))
        addresses = []
        for _ in range(8):
            addresses.append(server.obtain(BIOS).address)
            server.say(DECLINE, {50: pack("!I", addresses[-1]), 54: b"\x0a\0\0\1"})
            server.clock.advance(30)
        self.assertEqual(addresses, [*range(FIRST, FIRST + 4), *[FIRST + 4] * 4])
        self.assertIn("may decline no more", server.told(Ignored)[-1].reason)
        self.assertEqual(server.obtain(BIOS, mac=OTHER).address, FIRST + 5)
        server.clock.advance(3600)
        server.say(DECLINE, {50: pack("!I", addresses[-1]), 54: b"\x0a\0\0\1"})
        self.assertNotIn(server.obtain(BIOS).address, addresses[4:])

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

    def test_pool_of_a_subnet_empty(self) -> None:
        """The section of that network is to be changed; nobody is told to write what stands there already."""
        far = "[subnet 10.20.0.0/16]\npool_start = 10.20.0.10\npool_count = 1\n"
        server = Server(USUAL.replace("[bootpd]", "[bootpd]\nreclaim = expired"), far)
        server.obtain(BIOS, giaddr="10.20.0.1")
        self.assertEqual(server.say(DISCOVER, BIOS, mac=OTHER, giaddr="10.20.0.1"), [])
        (event,) = server.told(Ignored)
        self.assertEqual(event.reason, "the pool has no address left, and no lease in it has ended; raise pool_count")
        self.assertIn("[subnet 10.20.0.0/16]", event.setting)

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
