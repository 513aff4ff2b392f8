"""What is answered, case by case, with the trace that says why."""

from __future__ import annotations

from math import inf
from struct import pack, unpack

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp import pxe
from pybootd.dhcp.client import understand
from pybootd.dhcp.decision import Decision, MessageType
from pybootd.dhcp.facts import Facts
from pybootd.dhcp.packet import decode
from pybootd.dhcp.policy import decide
from pybootd.dhcp.request import Request
from pybootd.errors import MalformedPacket
from pybootd.interfaces import Verdict
from pybootd.leases.lease import Lease, State
from tests.support.dhcp import (
    BIOS,
    DECLINE,
    DISCOVER,
    INFORM,
    IPXE,
    MAC,
    OTHER,
    RELEASE,
    REQUEST,
    SYSTEM,
    U_BOOT,
    UEFI,
    UEFI_HTTP,
    USUAL,
    UUID,
    datagram,
    number,
    request,
    selecting,
    settings,
)

NOW = 1_000_000.0
ADDRESS = number("10.0.0.100")
FACTS = Facts(now=NOW, candidate=ADDRESS)
LEASE = Lease(ADDRESS, MAC, State.BOUND, NOW + 100, uuid=UUID)
KNOWN = Facts(now=NOW, lease=LEASE, owner=MAC, booted=True)


class PolicyTestCase(SynchronousTestCase):
    """Helpers: the decision with the usual settings."""

    def decide(self, request: Request, facts: Facts = FACTS, extra: str = "", text: str = USUAL) -> Decision:
        return decide(request, settings(text, extra=extra), facts)

    def assertSilent(self, decision: Decision, *words: str) -> None:
        """No answer, and the reason has these words."""
        self.assertEqual(decision.replies, ())
        for word in words:
            self.assertIn(word, decision.reason)

    def reply(self, decision: Decision) -> tuple[MessageType, int, dict[int, bytes]]:
        """The only reply: its type, address and options."""
        (reply,) = decision.replies
        return reply.type, reply.yiaddr, reply.told


class BootTests(PolicyTestCase):
    """Each kind of firmware is answered as it needs."""

    def test_bios(self) -> None:
        """A BIOS ROM is told to load its file at once: 60, and 43 with discovery control 8; file and option 67 both."""
        decision = self.decide(request(DISCOVER, BIOS))
        kind, address, options = self.reply(decision)
        self.assertEqual((kind, address, decision.offer), (MessageType.OFFER, ADDRESS, ADDRESS))
        self.assertEqual((options[60], options[43]), (b"PXEClient", b"\x06\x01\x08\xff"))
        self.assertEqual((options[67], decision.replies[0].file), (b"pxelinux.0\0", b"pxelinux.0"))
        self.assertEqual((options[66], decision.replies[0].siaddr), (b"10.0.0.1", number("10.0.0.1")))
        self.assertEqual(options[97], b"\0" + UUID)

    def test_uefi(self) -> None:
        """UEFI PXE gets neither 60 nor 43: an offer with 60 alone would send it to port 4011."""
        _, _, options = self.reply(self.decide(request(DISCOVER, UEFI)))
        self.assertEqual(options[67], b"grub.efi\0")
        self.assertNotIn(60, options)
        self.assertNotIn(43, options)

    def test_http_boot(self) -> None:
        """UEFI HTTP boot gets HTTPClient and an absolute URL without NUL, made of a bare name and our own HTTP."""
        decision = self.decide(request(DISCOVER, UEFI_HTTP))
        _, _, options = self.reply(decision)
        self.assertEqual((options[60], options[67]), (b"HTTPClient", b"http://10.0.0.1/http.efi"))
        self.assertEqual(decision.replies[0].file, b"http://10.0.0.1/http.efi")

    def test_http_boot_without_http(self) -> None:
        """A bare name is of no use to it where HTTP does not run, and the reason says what to do."""
        decision = decide(request(DISCOVER, UEFI_HTTP), settings(http=False), FACTS)
        self.assertSilent(decision, "-H")

    def test_ipxe(self) -> None:
        """iPXE gets what C{ipxe} names, never the loader again, and is told not to wait for a proxy."""
        _, _, options = self.reply(self.decide(request(DISCOVER, IPXE)))
        self.assertEqual(options[67], b"http://10.0.0.1/boot.ipxe\0")
        self.assertEqual((options[60], options[175]), (b"PXEClient", pxe.NO_PXE_DHCP))

    def test_ipxe_per_architecture(self) -> None:
        """C{ipxe.ARCH} goes before C{ipxe}."""
        text = USUAL.replace("[tftpd]", "ipxe.bios = bios.ipxe\n[tftpd]")
        _, _, options = self.reply(self.decide(request(DISCOVER, IPXE), text=text))
        self.assertEqual(options[67], b"bios.ipxe\0")

    def test_ipxe_without_http(self) -> None:
        """An iPXE that says it knows no HTTP is not handed an URL that it cannot load."""
        options = {**IPXE, 175: b"\x15\x01\x01"}
        self.assertSilent(self.decide(request(DISCOVER, options)), "no HTTP")

    def test_ipxe_without_entry(self) -> None:
        """Without an C{ipxe} entry it gets what its architecture gets."""
        text = USUAL.replace("ipxe = http://10.0.0.1/boot.ipxe\n", "")
        _, _, options = self.reply(self.decide(request(DISCOVER, IPXE), text=text))
        self.assertEqual(options[67], b"pxelinux.0\0")

    def test_ebc_is_x64(self) -> None:
        """Firmware that says 9 (EBC) means x64: the RFC's text swaps the two."""
        _, _, options = self.reply(self.decide(request(DISCOVER, {**UEFI, 93: b"\0\x09"})))
        self.assertEqual(options[67], b"grub.efi\0")

    def test_unknown_architecture(self) -> None:
        """An architecture without an entry is not answered, C{default} or not, and the missing entry is named."""
        decision = self.decide(request(DISCOVER, {**UEFI, 93: b"\0\x0b"}))
        self.assertSilent(decision, "arm64-uefi")

    def test_no_architecture(self) -> None:
        """A client that reports none gets C{default}."""
        _, _, options = self.reply(self.decide(request(DISCOVER, {60: b"PXEClient"})))
        self.assertEqual(options[67], b"pxelinux.0\0")

    def test_raspberry_pi_3(self) -> None:
        """A Pi 3 gets its menu, no NUL, and its lease with the offer: it never sends a REQUEST."""
        pi = {**BIOS, 97: b"\0" + b"\x44" * 16}
        decision = self.decide(request(DISCOVER, pi))
        _, _, options = self.reply(decision)
        self.assertIn(b"Raspberry Pi Boot   ", options[43])
        self.assertEqual(options[67], b"pxelinux.0")
        self.assertIsNotNone(decision.claim)

    def test_u_boot(self) -> None:
        """U-Boot boots, though it does not say C{PXEClient}; it knows names itself, and needs no entry."""
        _, address, options = self.reply(self.decide(request(DISCOVER, U_BOOT)))
        self.assertEqual((address, 67 in options), (ADDRESS, False))
        text = USUAL.replace("x64-uefi =", "arm64-uboot = boot.scr.uimg\nx64-uefi =")
        _, _, options = self.reply(self.decide(request(DISCOVER, U_BOOT), text=text))
        self.assertEqual((options[67], 43 in options, 60 in options), (b"boot.scr.uimg\0", False, False))
        url = USUAL.replace("x64-uefi =", "arm64-uboot = http://h/boot.scr\nx64-uefi =")
        self.assertSilent(self.decide(request(DISCOVER, U_BOOT), text=url), "loads by TFTP")

    def test_host_boot_file(self) -> None:
        """C{[host] bootfile} goes before C{[bootfile]}."""
        extra = "[host 52-54-00-00-00-01]\nbootfile = own.0\nhostname = node1\n"
        _, _, options = self.reply(self.decide(request(DISCOVER, BIOS), extra=extra))
        self.assertEqual((options[67], options[12]), (b"own.0\0", b"node1"))

    def test_named_by_access_server(self) -> None:
        """The access server's file goes before C{[bootfile]}, its name is handed out."""
        facts = evolve(FACTS, verdict=Verdict(True, "", hostname="node2", boot_file="named.0"))
        _, _, options = self.reply(self.decide(request(DISCOVER, BIOS), facts))
        self.assertEqual((options[67], options[12]), (b"named.0\0", b"node2"))

    def test_boot_file_size(self) -> None:
        """Option 13 counts blocks of 512 bytes, where it is asked for and known."""
        facts = evolve(FACTS, boot_file_size=1025)
        self.assertEqual(self.reply(self.decide(request(DISCOVER, UEFI), facts))[2][13], b"\0\x03")
        self.assertNotIn(13, self.reply(self.decide(request(DISCOVER, BIOS), facts))[2])

    def test_options_of_the_network(self) -> None:
        """Mask, router, all name servers in one option; 53 first."""
        _, _, options = self.reply(self.decide(request(DISCOVER, BIOS)))
        self.assertEqual(next(iter(options)), 53)
        self.assertEqual(options[1], b"\xff\xff\xff\0")
        self.assertEqual(options[3], b"\x0a\0\0\x01")
        self.assertEqual(options[6], b"\x0a\0\0\x35\x0a\0\0\x36")

    def test_asked_order(self) -> None:
        """What the client asked for comes in its order, with T1 and T2 at 1/2 and 7/8 of the lease."""
        facts = evolve(FACTS, booted=True)
        _, _, options = self.reply(self.decide(request(DISCOVER, {55: bytes((15, 59, 6, 58))}), facts))
        asked = [code for code in options if code in (15, 59, 6, 58)]
        self.assertEqual(asked, [15, 59, 6, 58])
        self.assertEqual((options[58], options[59]), (pack("!I", 43200), pack("!I", 75600)))

    def test_trace(self) -> None:
        """The trace names each rule with its line."""
        decision = self.decide(request(DISCOVER, UEFI))
        steps = {step.rule: step for step in decision.trace}
        self.assertEqual(steps["boot file"].outcome, "grub.efi")
        self.assertEqual(steps["boot file"].origin.option, "x64-uefi")
        self.assertEqual(steps["network"].origin.option, "pool_start")


class WhoTests(PolicyTestCase):
    """Who is served, and who is not."""

    def test_simple_client(self) -> None:
        """A client that never booted from the network is ignored, and the option that would serve it is named."""
        decision = self.decide(request(DISCOVER, SYSTEM))
        self.assertSilent(decision, "allow_simple_dhcp")

    def test_simple_client_after_boot(self) -> None:
        """After the machine has booted its system is served."""
        self.assertEqual(self.reply(self.decide(request(DISCOVER, SYSTEM), evolve(FACTS, booted=True)))[1], ADDRESS)

    def test_simple_client_with_lease(self) -> None:
        """A lease on record says that it booted, also after a restart."""
        self.assertEqual(self.reply(self.decide(request(DISCOVER, SYSTEM), evolve(KNOWN, booted=False)))[1], ADDRESS)

    def test_simple_clients_allowed(self) -> None:
        """C{allow_simple_dhcp} serves everybody."""
        text = USUAL.replace("[bootpd]", "[bootpd]\nallow_simple_dhcp = yes")
        kind, address, options = self.reply(self.decide(request(DISCOVER, SYSTEM), text=text))
        self.assertEqual((kind, address), (MessageType.OFFER, ADDRESS))
        self.assertNotIn(67, options)

    def test_denied(self) -> None:
        """A refusal by an access backend is silence, with its reason."""
        facts = evolve(FACTS, verdict=Verdict(False, "not in [mac]", "x.ini:3"))
        for kind in (DISCOVER, INFORM):
            self.assertSilent(self.decide(request(kind, BIOS), facts), "not in [mac]")
        self.assertSilent(self.decide(selecting("10.0.0.100", options=BIOS), facts), "not in [mac]")
        self.assertSilent(self.decide(request(None, {}), facts), "not in [mac]")

    def test_host_denied(self) -> None:
        """C{[host] allow = no} refuses."""
        extra = "[host 52-54-00-00-00-01]\nallow = no\n"
        self.assertSilent(self.decide(request(DISCOVER, BIOS), extra=extra), "allow")

    def test_hardware_tricks(self) -> None:
        """Seven bytes of hardware address, or another type, walk around no access list."""
        for fields in ({"mac": MAC + b"\0"}, {"htype": 6}, {"mac": MAC[:5]}, {"mac": b""}):
            self.assertSilent(self.decide(request(DISCOVER, BIOS, **fields)), "no Ethernet")

    def test_infiniband(self) -> None:
        """InfiniBand is known by its client identifier (RFC 4390)."""
        options = {**BIOS, 61: b"\xff" + b"\1" * 18}
        decision = self.decide(request(DISCOVER, options, mac=b"", htype=32))
        self.assertEqual(self.reply(decision)[1], ADDRESS)
        self.assertSilent(self.decide(request(DISCOVER, BIOS, mac=b"", htype=32)), "identifier")

    def test_foreign_interface(self) -> None:
        """What comes in on an interface that is not served is not answered."""
        self.assertSilent(self.decide(request(DISCOVER, BIOS, interface=3)), "not served")

    def test_foreign_relay(self) -> None:
        """Nor what a relay of an unknown network brings; the section that is missing is named."""
        self.assertSilent(self.decide(request(DISCOVER, BIOS, giaddr="172.16.0.1")), "[subnet]", "172.16.0.1")
        linked = request(DISCOVER, {**BIOS, 82: b"\5\4\xac\x11\0\0"}, giaddr="10.0.0.9")
        self.assertSilent(self.decide(linked), "[subnet]", "172.17.0.0", "10.0.0.9")

    def test_two_subnets_named(self) -> None:
        """The relay's link selection goes before the client's option 118, which is repeated where it counts only."""
        extra = "[subnet 10.20.0.0/16]\npool_start = 10.20.0.10\n[subnet 10.30.0.0/16]\npool_start = 10.30.0.10\n"
        far, other = pack("!I", number("10.20.0.0")), pack("!I", number("10.30.0.0"))
        facts = evolve(FACTS, candidate=number("10.20.0.10"))
        for named, link, repeated in ((far, b"", True), (other, b"\5\4" + far, False)):
            asked = request(DISCOVER, {**BIOS, 118: named, 82: b"\1\1a" + link}, giaddr="10.0.0.9")
            _, address, options = self.reply(self.decide(asked, facts, extra))
            self.assertEqual((address, options.get(118)), (number("10.20.0.10"), named if repeated else None))


class RequestTests(PolicyTestCase):
    """RFC 2131 4.3.2: the four kinds of REQUEST."""

    def test_on_record(self) -> None:
        """
        A lease that was written down a short while ago holds: nothing is written, and its machine is told what is left
        of it, or a little less.
        """
        lease = Lease(ADDRESS, MAC, State.BOUND, NOW + 80000, UUID, "lab7")
        known = Facts(now=NOW, lease=lease, owner=MAC, alone=True)
        for decision in (
            self.decide(selecting("10.0.0.100", options=BIOS), known),
            self.decide(request(REQUEST, {**SYSTEM, 50: pack("!I", ADDRESS), 12: b"lab7"}), known),
        ):
            kind, address, options = self.reply(decision)
            self.assertEqual((kind, address, decision.claim), (MessageType.ACK, ADDRESS, None))
            (told,) = unpack("!I", options[51])
            self.assertTrue(80000 - 86400 // 64 <= told <= 80000)
            self.assertEqual(unpack("!I", options[58])[0], told // 2)
        offer = self.decide(request(DISCOVER, BIOS), known)
        self.assertEqual(self.reply(offer)[2][51], pack("!I", told))

    def test_on_record_for_ever(self) -> None:
        """What holds for ever is written down once; BOOTP is told of no time, and a lease that ends comes after it."""
        text = USUAL.replace("[bootpd]", "[bootpd]\nlease_time = 4294967295\nallow_simple_dhcp = yes")
        known = Facts(now=NOW, lease=Lease(ADDRESS, MAC, State.BOUND, inf, UUID), owner=MAC, alone=True)
        decision = self.decide(selecting("10.0.0.100", options=BIOS), known, text=text)
        kind, address, options = self.reply(decision)
        self.assertEqual((kind, address, decision.claim), (MessageType.ACK, ADDRESS, None))
        self.assertEqual((options[51], 58 in options), (b"\xff" * 4, False))
        self.assertEqual(self.decide(request(DISCOVER, BIOS), known, text=text).replies[0].options[51], b"\xff" * 4)
        bootp = self.decide(request(None, {}), known)
        kind, address, options = self.reply(bootp)
        self.assertEqual((kind, address, 51 in options, bootp.claim), (MessageType.BOOTP, ADDRESS, False, None))
        ends = self.decide(selecting("10.0.0.100", options=BIOS), known)
        self.assertEqual(ends.claim.lease.expires, NOW + 86400)
        ended = evolve(known, lease=evolve(known.lease, expires=NOW + 80000))
        self.assertEqual(self.decide(request(None, {}), ended).claim.lease.expires, inf)
        self.assertEqual(self.decide(selecting("10.0.0.100", options=BIOS), ended, text=text).claim.lease.expires, inf)

    def test_on_record_in_part(self) -> None:
        """It is written down anew where it says less, little is left of it, or others may have changed it."""
        lease = Lease(ADDRESS, MAC, State.BOUND, NOW + 80000, UUID, "lab7")
        known = Facts(now=NOW, lease=lease, owner=MAC, alone=True)
        asked = selecting("10.0.0.100", options=BIOS)
        for facts in (
            evolve(known, alone=False),
            evolve(known, lease=evolve(lease, expires=NOW + 64000)),
            evolve(known, lease=evolve(lease, expires=NOW + 90000)),
            evolve(known, lease=evolve(lease, uuid=b"")),
        ):
            decision = self.decide(asked, facts)
            self.assertEqual(self.reply(decision)[2][51], pack("!I", 86400))
            self.assertEqual(decision.claim.lease.expires, NOW + 86400)
        renewed = self.decide(request(REQUEST, SYSTEM, ciaddr="10.0.0.100", unicast=True), known)
        self.assertEqual(renewed.claim.lease.expires, NOW + 86400)
        named = self.decide(selecting("10.0.0.100", options={**BIOS, 12: b"lab8"}), known)
        self.assertEqual(named.claim.lease.hostname, "lab8")

    def test_selecting(self) -> None:
        """The offered address is ACKed, with a lease to be written down first."""
        facts = Facts(now=NOW, offered=ADDRESS, owner=MAC)
        decision = self.decide(selecting("10.0.0.100", options=BIOS), facts)
        self.assertEqual(self.reply(decision)[:2], (MessageType.ACK, ADDRESS))
        lease = decision.claim.lease
        self.assertEqual(
            (lease.address, lease.key, lease.state, lease.expires), (ADDRESS, MAC, State.BOUND, NOW + 86400)
        )
        self.assertEqual(lease.uuid, UUID)
        self.assertTrue(decision.claim.fresh)

    def test_other_server(self) -> None:
        """Another server was chosen: silence, and our offer is free."""
        decision = self.decide(selecting("10.0.0.100", server="10.0.0.7", options=BIOS), KNOWN)
        self.assertSilent(decision, "another server")
        self.assertTrue(decision.release)

    def test_selecting_after_restart(self) -> None:
        """An offer that was forgotten is kept all the same, where the address is free."""
        decision = self.decide(selecting("10.0.0.101", options=BIOS), Facts(now=NOW))
        self.assertEqual(self.reply(decision)[:2], (MessageType.ACK, number("10.0.0.101")))

    def test_selecting_outside_pool(self) -> None:
        """An address that is not ours to give is not given for the asking."""
        self.assertSilent(self.decide(selecting("10.0.0.200", options=BIOS), Facts(now=NOW)))

    def test_somebody_elses(self) -> None:
        """Another machine's address, leased or held, is never ACKed, in no kind of REQUEST."""
        facts = Facts(now=NOW, owner=OTHER, booted=True)
        raw = pack("!I", ADDRESS)
        for one in (
            selecting("10.0.0.100", options=BIOS),
            request(REQUEST, {50: raw}),
            request(REQUEST, {}, ciaddr="10.0.0.100"),
            request(REQUEST, {}, ciaddr="10.0.0.100", unicast=True),
        ):
            self.assertEqual(self.reply(self.decide(one, facts))[0], MessageType.NAK, one.kind)

    def test_reserved(self) -> None:
        """An address that is configured for another machine is never ACKed, whatever the lease says."""
        extra = "[static_dhcp]\n52-54-00-00-00-02 = 10.0.0.100\n"
        decision = self.decide(selecting("10.0.0.100", options=BIOS), KNOWN, extra)
        self.assertEqual(self.reply(decision)[0], MessageType.NAK)

    def test_init_reboot(self) -> None:
        """It remembers its address, and gets it."""
        decision = self.decide(request(REQUEST, {50: pack("!I", ADDRESS)}), KNOWN)
        self.assertEqual(self.reply(decision)[:2], (MessageType.ACK, ADDRESS))
        self.assertFalse(decision.claim.fresh)

    def test_init_reboot_wrong_network(self) -> None:
        """An address of another network gets a NAK, also for a machine without a lease."""
        one = request(REQUEST, {50: pack("!I", number("192.168.1.5"))})
        decision = self.decide(one, Facts(now=NOW, booted=True))
        kind, address, options = self.reply(decision)
        self.assertEqual((kind, address), (MessageType.NAK, 0))
        self.assertNotIn(51, options)
        self.assertIn(56, options)

    def test_init_reboot_unknown(self) -> None:
        """A server without a record of the client stays silent (RFC 2131 4.3.2)."""
        self.assertSilent(self.decide(request(REQUEST, {50: pack("!I", ADDRESS)}), Facts(now=NOW, booted=True)))

    def test_not_authoritative(self) -> None:
        """C{authoritative = no}: silence in place of a NAK for a wrong network."""
        text = USUAL.replace("[bootpd]", "[bootpd]\nauthoritative = no")
        one = request(REQUEST, {50: pack("!I", number("192.168.1.5"))})
        self.assertSilent(self.decide(one, Facts(now=NOW, booted=True), text=text), "authoritative")

    def test_renewing(self) -> None:
        """A renewal prolongs the lease, and ciaddr is repeated."""
        decision = self.decide(request(REQUEST, {}, ciaddr="10.0.0.100", unicast=True), KNOWN)
        self.assertEqual(self.reply(decision)[:2], (MessageType.ACK, ADDRESS))
        self.assertEqual(decision.replies[0].ciaddr, ADDRESS)
        self.assertEqual(decision.claim.lease.expires, NOW + 86400)

    def test_uuid_stays(self) -> None:
        """The UUID that the firmware told stays with the lease when the system renews it."""
        decision = self.decide(request(REQUEST, {}, ciaddr="10.0.0.100", unicast=True), KNOWN)
        self.assertEqual(decision.claim.lease.uuid, UUID)

    def test_rebinding_moved(self) -> None:
        """A machine that moved to this network with another one's address gets a NAK."""
        decision = self.decide(request(REQUEST, {}, ciaddr="172.16.0.9"), evolve(KNOWN, owner=None))
        self.assertEqual(self.reply(decision)[0], MessageType.NAK)

    def test_client_identifier(self) -> None:
        """Option 61 comes back (RFC 6842), and the lease is the machine's all the same."""
        decision = self.decide(selecting("10.0.0.100", options={**SYSTEM, 61: b"\xffduid"}), KNOWN)
        self.assertEqual(self.reply(decision)[2][61], b"\xffduid")
        self.assertEqual(decision.claim.lease.key, MAC)


class OtherMessageTests(PolicyTestCase):
    """INFORM, DECLINE, RELEASE, BOOTP, port 4011."""

    def test_inform(self) -> None:
        """INFORM gets the options, no address and no lease (RFC 2131 4.3.5)."""
        decision = self.decide(request(INFORM, SYSTEM, ciaddr="10.0.0.9", unicast=True), KNOWN)
        kind, address, options = self.reply(decision)
        self.assertEqual((kind, address), (MessageType.ACK, 0))
        self.assertNotIn(51, options)
        self.assertIn(6, options)
        self.assertIsNone(decision.claim)

    def test_inform_for_everybody(self) -> None:
        """What goes to ciaddr goes to one machine: the network's own addresses are none, nor is that of another."""
        for address in ("10.0.0.255", "10.0.0.0", "172.16.0.9", "0.0.0.0"):
            self.assertSilent(self.decide(request(INFORM, SYSTEM, ciaddr=address, unicast=True), KNOWN), address)

    def test_decline(self) -> None:
        """A declined address rests for an hour and belongs to nobody."""
        decision = self.decide(request(DECLINE, {50: pack("!I", ADDRESS)}), KNOWN)
        lease = decision.claim.lease
        self.assertEqual((lease.state, lease.key, lease.expires), (State.DECLINED, b"", NOW + 3600))
        self.assertEqual(decision.replies, ())

    def test_decline_by_stranger(self) -> None:
        """Nobody declines another machine's address."""
        decision = self.decide(request(DECLINE, {50: pack("!I", ADDRESS)}, mac=OTHER), Facts(now=NOW, owner=MAC))
        self.assertIsNone(decision.claim)

    def test_release(self) -> None:
        """A released lease stays the machine's until somebody needs the address."""
        decision = self.decide(request(RELEASE, {}, ciaddr="10.0.0.100", unicast=True), KNOWN)
        lease = decision.claim.lease
        self.assertEqual((lease.state, lease.key, lease.expires), (State.RELEASED, MAC, NOW))

    def test_release_by_stranger(self) -> None:
        """Nobody releases another machine's address."""
        one = request(RELEASE, {}, ciaddr="10.0.0.100", mac=OTHER, unicast=True)
        self.assertIsNone(self.decide(one, Facts(now=NOW, owner=MAC)).claim)

    def test_bootp(self) -> None:
        """Plain BOOTP gets a reply without option 53, and a lease for ever."""
        text = USUAL.replace("[bootpd]", "[bootpd]\nallow_simple_dhcp = yes")
        decision = self.decide(request(None, {}), text=text)
        kind, address, options = self.reply(decision)
        self.assertEqual((kind, address), (MessageType.BOOTP, ADDRESS))
        self.assertNotIn(53, options)
        self.assertNotIn(51, options)
        self.assertEqual(decision.replies[0].file, b"pxelinux.0")
        self.assertEqual(decision.claim.lease.expires, inf)

    def test_bootp_unknown(self) -> None:
        """Without C{allow_simple_dhcp} a BOOTP client needs a fixed address."""
        self.assertSilent(self.decide(request(None, {})), "allow_simple_dhcp")
        extra = "[static_dhcp]\n52-54-00-00-00-01 = 10.0.0.50\n"
        self.assertEqual(self.reply(self.decide(request(None, {}), extra=extra))[1], number("10.0.0.50"))

    def test_boot_server(self) -> None:
        """Port 4011 names the file, and repeats the chosen menu item."""
        options = {**BIOS, 43: b"\x47\x04\x80\x01\0\0\xff"}
        decision = self.decide(request(REQUEST, options, port=4011, ciaddr="10.0.0.100"), KNOWN)
        kind, address, answer = self.reply(decision)
        self.assertEqual((kind, address), (MessageType.ACK, 0))
        self.assertEqual((answer[43], answer[67]), (b"\x47\x04\x80\x01\0\0\xff", b"pxelinux.0\0"))


class AddressTests(PolicyTestCase):
    """Which address."""

    def test_known_machine(self) -> None:
        """A machine gets the address that it had, though its lease has ended and others wait."""
        facts = evolve(FACTS, lease=evolve(LEASE, address=number("10.0.0.102"), expires=NOW - 1000))
        self.assertEqual(self.reply(self.decide(request(DISCOVER, BIOS), facts))[1], number("10.0.0.102"))

    def test_fixed(self) -> None:
        """A fixed address goes before everything else."""
        extra = "[static_dhcp]\n52-54-00-00-00-01 = 10.0.0.50\n"
        self.assertEqual(self.reply(self.decide(request(DISCOVER, BIOS), KNOWN, extra))[1], number("10.0.0.50"))

    def test_exhausted(self) -> None:
        """An empty pool is silence, with what to do; it says that an address would help."""
        decision = self.decide(request(DISCOVER, BIOS), Facts(now=NOW))
        self.assertSilent(decision, "pool_count", "reclaim")
        self.assertTrue(decision.wants_address)

    def test_relayed(self) -> None:
        """Behind a relay its network counts, with option 82 repeated unchanged and last."""
        extra = "[subnet 10.20.0.0/16]\npool_start = 10.20.0.10\ngateway = 10.20.0.1\n"
        mark = b"\x01\x02ab\x05\x04\x0a\x14\x00\x00"
        decision = self.decide(request(DISCOVER, {82: mark, **BIOS}, giaddr="10.77.0.9"), extra=extra)
        _, _, options = self.reply(decision)
        self.assertEqual((options[1], options[3]), (b"\xff\xff\0\0", b"\x0a\x14\0\x01"))
        self.assertEqual((list(options)[-1], options[82]), (82, mark))
        self.assertEqual(decision.replies[0].giaddr, number("10.77.0.9"))

    def test_server_override(self) -> None:
        """A relay may stand for the server (RFC 5107), and the REQUEST that names it is ours."""
        extra = "[subnet 10.20.0.0/16]\npool_start = 10.20.0.10\n"
        mark = b"\x0b\x04\x0a\x14\x00\x01"
        offer = self.decide(request(DISCOVER, {**BIOS, 82: mark}, giaddr="10.20.0.1"), extra=extra)
        self.assertEqual(self.reply(offer)[2][54], b"\x0a\x14\0\x01")
        one = selecting("10.20.0.10", server="10.20.0.1", options={**BIOS, 82: mark}, giaddr="10.20.0.1")
        self.assertEqual(self.reply(self.decide(one, Facts(now=NOW), extra))[0], MessageType.ACK)

    def test_nak_to_relay(self) -> None:
        """A NAK asks the relay to broadcast (RFC 2131 4.3.2)."""
        extra = "[subnet 10.20.0.0/16]\npool_start = 10.20.0.10\n"
        one = request(REQUEST, {50: pack("!I", ADDRESS)}, giaddr="10.20.0.1")
        decision = self.decide(one, Facts(now=NOW, booted=True), extra)
        self.assertEqual(decision.replies[0].flags, 0x8000)


class ProxyTests(PolicyTestCase):
    """C{mode = proxy}: boot information, never an address."""

    TEXT = USUAL.replace("pool_start = 10.0.0.100\npool_count = 3", "mode = proxy\ninterface = eth0")

    def forms(self, options: dict[int, bytes]) -> list[set[int]]:
        """Which of 43, 60, 67 each offer has."""
        decision = self.decide(request(DISCOVER, options), Facts(now=NOW), text=self.TEXT)
        for reply in decision.replies:
            self.assertEqual((reply.yiaddr, reply.type), (0, MessageType.OFFER))
            self.assertNotIn(51, reply.options)
        self.assertIsNone(decision.claim)
        return [{43, 60, 67} & set(reply.options) for reply in decision.replies]

    def test_forms(self) -> None:
        """BIOS and iPXE get one offer, UEFI two (the second without 43, for EDK2 before 2017), HTTP boot its URL."""
        self.assertEqual(self.forms(BIOS), [{43, 60, 67}])
        self.assertEqual(self.forms(IPXE), [{43, 60, 67}])
        self.assertEqual(self.forms(UEFI), [{43, 60, 67}, {60}])
        self.assertEqual(self.forms(UEFI_HTTP), [{60, 67}])
        self.assertEqual(self.forms({60: b"U-Boot.armv7"}), [{67}])

    def test_not_for_others(self) -> None:
        """A client that does not boot is not answered, nor a REQUEST on port 67."""
        facts = evolve(KNOWN, lease=None)
        self.assertSilent(self.decide(request(DISCOVER, SYSTEM), facts, text=self.TEXT), "boot")
        self.assertSilent(self.decide(selecting("10.0.0.100", options=BIOS), facts, text=self.TEXT), "proxy")

    def test_boot_server(self) -> None:
        """Port 4011 answers with the file, to UEFI that took the bare offer."""
        one = request(REQUEST, UEFI, port=4011, ciaddr="10.0.0.100")
        kind, address, options = self.reply(self.decide(one, Facts(now=NOW), text=self.TEXT))
        self.assertEqual((kind, address), (MessageType.ACK, 0))
        self.assertEqual((options[60], options[67]), (b"PXEClient", b"grub.efi\0"))


class EverythingTests(SynchronousTestCase):
    """Whatever is asked, the decision keeps its promises."""

    @given(
        kind=st.integers(0, 9),
        options=st.dictionaries(
            st.sampled_from([12, 43, 50, 54, 55, 57, 60, 61, 77, 82, 93, 97, 118, 175]),
            st.binary(max_size=40),
            max_size=8,
        ),
        ciaddr=st.sampled_from(["0.0.0.0", "10.0.0.100", "10.0.0.101", "172.16.0.1"]),
        giaddr=st.sampled_from(["0.0.0.0", "10.0.0.2", "172.16.0.1"]),
        unicast=st.booleans(),
        owner=st.sampled_from([None, b"", MAC, OTHER]),
        lease=st.sampled_from([None, LEASE, evolve(LEASE, state=State.RELEASED)]),
        port=st.sampled_from([67, 4011]),
        proxy=st.booleans(),
    )
    def test_promises(self, kind, options, ciaddr, giaddr, unicast, owner, lease, port, proxy) -> None:
        """No packet makes it fail; no ACK for another machine's address; a proxy gives none; a claim is the asker's."""
        try:
            packet = decode(datagram(kind, options, ciaddr=ciaddr, giaddr=giaddr))
            one = understand(packet, ("10.0.0.9", 68), port, 2, unicast)
        except MalformedPacket:
            return
        facts = Facts(now=NOW, lease=lease, owner=owner, candidate=number("10.0.0.102"), booted=True)
        decision = decide(one, PROXY if proxy else SERVER, facts)
        self.assertTrue(decision.trace)
        for reply in decision.replies:
            if proxy:
                self.assertEqual(reply.yiaddr, 0)
            if reply.type is MessageType.ACK and reply.yiaddr:
                self.assertIn(owner, (None, MAC))
                self.assertEqual(decision.claim.lease.key, MAC)
        if not decision.replies and decision.claim is None:
            self.assertTrue(decision.reason)


SERVER = settings()
PROXY = settings(ProxyTests.TEXT)
