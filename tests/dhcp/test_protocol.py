"""DHCP at work: whole exchanges with a clock, a store and a transport of the test's own."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from struct import pack

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from pybootd.dhcp.delivery import Destination
from pybootd.dhcp.packet import Packet, decode
from pybootd.dhcp.pool import Pool
from pybootd.dhcp.protocol import Dhcp
from pybootd.dhcp.settings import Network
from pybootd.errors import AccessUnavailable, StoreError
from pybootd.events import Bus, Conflict, Ignored, Leased, Offered, Released, Seen, record
from pybootd.interfaces import IAccessControl, Phase, Question, Verdict
from pybootd.leases.commit import GroupCommit
from pybootd.leases.lease import Claim
from pybootd.leases.memory import MemoryStore
from pybootd.leases.table import LeaseTable
from pybootd.machine import Machines
from tests.support.dhcp import (
    BIOS,
    DISCOVER,
    IPXE,
    MAC,
    OTHER,
    RELEASE,
    REQUEST,
    SYSTEM,
    UUID,
    datagram,
    number,
    settings,
)

YES = Verdict(True, "yes")


class SlowStore(MemoryStore):
    """A store whose commits end when the test says so."""

    def __init__(self) -> None:
        self.commits: list[tuple[Sequence[Claim], Deferred[Sequence[bool]]]] = []

    def commit(self, claims: Sequence[Claim]) -> Deferred[Sequence[bool]]:
        written: Deferred[Sequence[bool]] = Deferred()
        self.commits.append((claims, written))
        return written

    def finish(self) -> None:
        """The oldest commit is durable."""
        claims, written = self.commits.pop(0)
        written.callback([True] * len(claims))


class FullStore(MemoryStore):
    """A store that cannot keep a promise."""

    def commit(self, claims: Sequence[Claim]) -> Deferred[Sequence[bool]]:
        return fail(StoreError("the disk is full"))


class Wire:
    """A transport that keeps what was sent, and knows who answers at which address."""

    def __init__(self) -> None:
        self.sent: list[tuple[Packet, Destination]] = []
        self.taken: set[int] = set()
        self.probed: list[int] = []

    def send(self, data: bytes, destination: Destination, network: Network, port: int) -> None:
        self.sent.append((decode(data), destination))

    def announce(self, network: Network, chaddr: bytes) -> None:
        pass

    def probe(self, network: Network, address: int) -> Deferred[bool]:
        self.probed.append(address)
        return succeed(address in self.taken)


@implementer(IAccessControl)
class Access:
    """A backend that answers as the test wants."""

    name = "test"

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.questions: list[Question] = []

    def check(self, question: Question) -> object:
        self.questions.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class ProtocolTestCase(SynchronousTestCase):
    """A server on a network of three addresses."""

    def serve(self, store: MemoryStore | None = None, access: Access | None = None, probe: bool = False) -> None:
        """Start."""
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.wire = Wire()
        self.machines = Machines()
        self.bus = Bus()
        self.events = record(self.bus)
        rules = settings()
        network = rules.networks[0]
        table = LeaseTable()
        pool = Pool(network.pool_first, network.pool_count, table, reserved=[network.server])
        self.dhcp = Dhcp(
            rules,
            table,
            {network.first: pool},
            GroupCommit(store or MemoryStore(), self.clock.callLater),
            self.wire,
            self.machines,
            self.bus,
            self.clock,
            access=access,
            conflict_check=probe,
        )

    def say(self, data: bytes) -> list[Packet]:
        """A datagram arrives on eth0: the answers."""
        self.dhcp.received(data, ("0.0.0.0", 68), 0xFFFFFFFF, 2)
        self.clock.advance(0)
        sent, self.wire.sent = self.wire.sent, []
        return [packet for packet, _ in sent]

    def discover(self, options: dict[int, bytes] = BIOS, mac: bytes = MAC) -> list[Packet]:
        return self.say(datagram(DISCOVER, options, mac=mac))

    def take(self, address: int, options: dict[int, bytes] = BIOS, mac: bytes = MAC) -> list[Packet]:
        chosen = {50: pack("!I", address), 54: pack("!I", number("10.0.0.1")), **options}
        return self.say(datagram(REQUEST, chosen, mac=mac))

    def kinds(self) -> list[type]:
        """The events so far."""
        return [type(event) for event in self.events]


class BootTests(ProtocolTestCase):
    """A machine boots."""

    def test_two_phases(self) -> None:
        """ROM, loader and operating system get one address; events and the register tell the story."""
        self.serve()
        addresses = set()
        for options in (BIOS, IPXE, SYSTEM):
            (offer,) = self.discover(options)
            (ack,) = self.take(offer.yiaddr, options)
            self.assertEqual(ack.options[53], b"\5")
            addresses.add(ack.yiaddr)
        self.assertEqual(addresses, {number("10.0.0.100")})
        self.assertEqual(self.kinds(), [Seen, Offered, Seen, Leased] * 3)
        leased = [event for event in self.events if isinstance(event, Leased)]
        self.assertEqual([event.boot for event in leased], [True, True, False])
        machine = self.machines.at(IPv4Address("10.0.0.100"))
        self.assertEqual(machine.mac, "52:54:00:00:00:01")
        self.assertEqual(machine.uuid.bytes_le, UUID)

    def test_release(self) -> None:
        """A machine that gives its address back is found there no more."""
        self.serve()
        (offer,) = self.discover()
        self.take(offer.yiaddr)
        self.dhcp.received(datagram(RELEASE, {}, ciaddr="10.0.0.100"), ("10.0.0.100", 68), number("10.0.0.1"), 2)
        self.clock.advance(0)
        self.assertIn(Released, self.kinds())
        self.assertIsNone(self.machines.at(IPv4Address("10.0.0.100")))

    def test_noise(self) -> None:
        """What is no request is dropped, and said five times at most."""
        self.serve()
        lines: list[LogEvent] = []
        globalLogPublisher.addObserver(lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, lines.append)
        for _ in range(20):
            self.assertEqual(self.say(b"noise"), [])
        self.assertEqual(len([line for line in lines if "no request" in line.get("log_format", "")]), 5)
        self.assertEqual(self.kinds(), [])

    def test_other_interface(self) -> None:
        """What comes by an interface that is not served is not even looked at."""
        self.serve()
        self.dhcp.received(datagram(DISCOVER, BIOS), ("0.0.0.0", 68), 0xFFFFFFFF, 3)
        self.assertEqual((self.kinds(), len(self.machines)), ([], 0))


class DurabilityTests(ProtocolTestCase):
    """An ACK is a promise."""

    def test_after_commit(self) -> None:
        """Nothing leaves before the lease is durable; not for a repeated REQUEST either, and one ACK is enough."""
        store = SlowStore()
        self.serve(store)
        (offer,) = self.discover()
        self.assertEqual(self.take(offer.yiaddr), [])
        self.assertEqual(self.take(offer.yiaddr), [])
        store.finish()
        acks = [packet for packet, _ in self.wire.sent]
        self.assertEqual([ack.options[53] for ack in acks], [b"\5"])

    def test_together(self) -> None:
        """Requests that arrive while the store writes share the next commit."""
        store = SlowStore()
        self.serve(store)
        macs = [bytes.fromhex(f"52540000000{digit}") for digit in "123"]
        offers = [self.discover(mac=mac)[0].yiaddr for mac in macs]
        for mac, address in zip(macs, offers, strict=True):
            self.take(address, mac=mac)
        self.assertEqual(len(store.commits), 1)
        store.finish()
        self.clock.advance(0)
        self.assertEqual(len(store.commits[0][0]), 2)

    def test_full_disk(self) -> None:
        """What cannot be kept is not promised."""
        self.serve(FullStore())
        (offer,) = self.discover()
        self.assertEqual(self.take(offer.yiaddr), [])
        self.assertNotIn(Leased, self.kinds())


class AccessTests(ProtocolTestCase):
    """Who may boot is asked first."""

    def test_asked(self) -> None:
        """The question says who and what for; a system's has the UUID that the firmware told."""
        access = Access(YES)
        self.serve(access=access)
        (offer,) = self.discover()
        self.take(offer.yiaddr)
        self.discover(SYSTEM)
        self.assertEqual([one.phase for one in access.questions], [Phase.BOOT, Phase.BOOT, Phase.SYSTEM])
        self.assertEqual({one.uuid for one in access.questions}, {UUID})
        self.assertEqual([one.stage_changed for one in access.questions][::2], [True, True])

    def test_refused(self) -> None:
        """No is silence, with the reason in the event."""
        self.serve(access=Access(Verdict(False, "not in [mac]")))
        self.assertEqual(self.discover(), [])
        self.assertEqual([event.reason for event in self.events if isinstance(event, Ignored)], ["not in [mac]"])

    def test_unavailable(self) -> None:
        """A backend without a verdict lets nobody in."""
        self.serve(access=Access(AccessUnavailable("it is down")))
        self.assertEqual(self.discover(), [])

    def test_slow(self) -> None:
        """A backend that does not answer in time lets nobody in, and others do not wait for it."""
        waiting: Deferred[Verdict] = Deferred()
        access = Access(waiting)
        self.serve(access=access)
        self.assertEqual(self.discover(), [])
        access.answer = YES
        self.assertEqual(len(self.discover(mac=OTHER)), 1)
        self.clock.advance(5.1)
        self.assertEqual(self.wire.sent, [])
        self.assertIn(Ignored, self.kinds())

    def test_one_question(self) -> None:
        """A machine that repeats itself is asked about once, and its newest request is answered."""
        waiting: Deferred[Verdict] = Deferred()
        access = Access(waiting)
        self.serve(access=access)
        self.discover()
        self.say(datagram(DISCOVER, BIOS, xid=77))
        self.assertEqual(len(access.questions), 1)
        waiting.callback(YES)
        self.assertEqual([packet.xid for packet, _ in self.wire.sent], [77])


class ConflictTests(ProtocolTestCase):
    """An address is probed before it is given for the first time."""

    def test_taken(self) -> None:
        """An address that somebody answers at is passed over, rests, and is told of."""
        self.serve(probe=True)
        self.wire.taken.add(number("10.0.0.100"))
        (offer,) = self.discover()
        self.assertEqual(offer.yiaddr, number("10.0.0.101"))
        self.assertIn(Conflict, self.kinds())

    def test_known_machine(self) -> None:
        """A machine that has its address is never kept waiting by a probe."""
        self.serve(probe=True)
        (offer,) = self.discover()
        self.take(offer.yiaddr)
        self.wire.probed.clear()
        self.discover()
        self.assertNotIn(offer.yiaddr, self.wire.probed)
