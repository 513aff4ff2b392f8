"""A DHCP server without sockets, in virtual time: what comes in is said by the test, what leaves is kept."""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack

from attrs import frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from pybootd.dhcp.delivery import Destination
from pybootd.dhcp.packet import Packet, decode
from pybootd.dhcp.pool import Pool
from pybootd.dhcp.protocol import Dhcp
from pybootd.dhcp.settings import Network
from pybootd.dhcp.sharing import Sharing
from pybootd.errors import StoreError
from pybootd.events import Bus, Event, record
from pybootd.interfaces import IAccessControl, ILeaseStore, Question, Verdict
from pybootd.leases.commit import GroupCommit
from pybootd.leases.lease import Claim
from pybootd.leases.memory import MemoryStore
from pybootd.leases.table import LeaseTable
from pybootd.machine import Machine, Machines, mac_text
from tests.support.dhcp import DISCOVER, MAC, REQUEST, USUAL, datagram, number, settings

NOW = 1_000_000.0


@frozen
class Sent:
    """One datagram that left."""

    packet: Packet
    to: Destination
    port: int

    @property
    def kind(self) -> int:
        """Option 53; 0 where it has none."""
        return self.packet.options.get(53, b"\0")[0]

    @property
    def address(self) -> int:
        """yiaddr."""
        return self.packet.yiaddr

    @property
    def file(self) -> bytes:
        """Option 67 without its NUL."""
        return self.packet.options.get(67, b"").rstrip(b"\0")


class Wire:
    """
    The transport.

    @ivar occupied: addresses at which somebody answers a probe.
    @ivar probes: whether the network can be asked.
    @ivar probed: the addresses that were asked for.
    @ivar announced: the hardware addresses that were sent an ARP frame.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sent: list[Sent] = []
        self.announced: list[bytes] = []
        self.occupied: set[int] = set()
        self.probes = True
        self.probed: list[int] = []

    def send(self, data: bytes, destination: Destination, network: Network, port: int) -> None:
        self.sent.append(Sent(decode(data), destination, port))

    def announce(self, network: Network, chaddr: bytes) -> None:
        self.announced.append(chaddr)

    def probe(self, network: Network, address: int) -> Deferred[bool] | None:
        if not self.probes:
            return None
        self.probed.append(address)
        waiting: Deferred[bool] = Deferred()
        self.clock.callLater(0.5, lambda: waiting.callback(address in self.occupied))
        return waiting


class Store(MemoryStore):
    """
    A store that the test holds up, or breaks.

    @ivar waiting: while a list: commits wait in it.
    @ivar broken: commits fail.
    @ivar void: another server has every address.
    """

    def __init__(self) -> None:
        self.waiting: list[Deferred[Sequence[bool]]] | None = None
        self.broken = False
        self.void = False
        self.claims: list[Claim] = []

    def commit(self, claims: Sequence[Claim]) -> Deferred[Sequence[bool]]:
        if self.broken:
            return fail(StoreError("the disk is full; make room"))
        self.claims += claims
        if self.waiting is not None:
            self.waiting.append(Deferred())
            return self.waiting[-1]
        return succeed([not self.void] * len(claims))


@implementer(IAccessControl)
class Access:
    """
    Says what the test says.

    @ivar questions: what it was asked.
    @ivar verdicts: what the next questions are answered; then C{allowed}.
    """

    name = "test"

    def __init__(self, *verdicts: Verdict | Deferred[Verdict] | Exception) -> None:
        self.questions: list[Question] = []
        self.verdicts = list(verdicts)

    def check(self, question: Question) -> Verdict | Deferred[Verdict]:
        self.questions.append(question)
        verdict = self.verdicts.pop(0) if self.verdicts else Verdict(True, "")
        if isinstance(verdict, Exception):
            raise verdict
        return verdict


class Server:
    """A server, what it tells, and the clients' side of conversations with it."""

    def __init__(
        self,
        text: str = USUAL,
        extra: str = "",
        *,
        access: IAccessControl | None = None,
        conflict_check: bool = False,
        reclaim: bool = False,
        machines: int = 1000,
        offers: int = 4096,
        shared: ILeaseStore | None = None,
        clock: Clock | None = None,
        **options: object,
    ) -> None:
        """
        @param shared: a store that other servers use too, in place of the test's own.
        @param clock: the one that they go by, too.
        """
        self.clock = clock or Clock()
        self.clock.advance(0 if clock else NOW)
        self.shared = shared
        self.settings = settings(text, extra=extra)
        self.reclaim = reclaim
        self.wire, self.store, self.bus = Wire(self.clock), Store(), Bus()
        self.events: Sequence[Event] = record(self.bus)
        self.machines = Machines(machines)
        self.table = LeaseTable((), offers)
        self.pools = self._pools()
        self.sharing = Sharing(shared, self.table, self.pools, self.clock.seconds) if shared is not None else None
        self.dhcp = Dhcp(
            self.settings,
            self.table,
            self.pools,
            GroupCommit(shared or self.store, self.clock.callLater),
            self.wire,
            self.machines,
            self.bus,
            self.clock,
            access=access,
            conflict_check=conflict_check,
            sharing=self.sharing,
            **options,  # type: ignore[arg-type]
        )
        if self.sharing is not None:
            self.sharing.begin()
        self.dhcp.start()

    def _pools(self) -> dict[int, Pool]:
        return {
            network.first: Pool(
                network.pool_first,
                network.pool_count,
                self.table,
                reserved=[address for address in self.settings.reserved if address in network],
                reclaim=self.reclaim,
                slices=None if self.shared is None else (),
            )
            for network in self.settings.networks
            if network.pool_count
        }

    def turn(self, text: str, *, new_pools: bool = True, **options: object) -> None:
        """Another configuration holds from now on."""
        self.settings = settings(text)
        if new_pools:
            self.pools = self._pools()
        self.dhcp.configure(self.settings, self.pools, **{"conflict_check": False, **options})  # type: ignore[arg-type]
        if self.sharing is not None:
            self.sharing.change(self.pools)
        self.dhcp.start()

    def say(
        self,
        kind: int | None,
        options: dict[int, bytes] | None = None,
        *,
        source: tuple[str, int] = ("0.0.0.0", 68),
        to: str = "255.255.255.255",
        interface: int = 2,
        port: int = 67,
        **fields: object,
    ) -> list[Sent]:
        """A client's datagram arrives; what is answered before time goes on."""
        data = datagram(kind, options, **fields)  # type: ignore[arg-type]
        before = len(self.wire.sent)
        self.dhcp.received(data, source, number(to), interface, port)
        self.clock.advance(0)
        return self.wire.sent[before:]

    def later(self, seconds: float) -> list[Sent]:
        """Time goes on; what left meanwhile."""
        before = len(self.wire.sent)
        self.clock.pump([seconds / 4] * 4)
        return self.wire.sent[before:]

    def take(self, offer: Sent, options: dict[int, bytes], **fields: object) -> list[Sent]:
        """The REQUEST that takes an offer."""
        chosen = {50: pack("!I", offer.address), 54: offer.packet.options[54]}
        return self.say(REQUEST, {**options, **chosen}, **fields)  # type: ignore[arg-type]

    def obtain(self, options: dict[int, bytes], **fields: object) -> Sent:
        """DISCOVER, OFFER, REQUEST, ACK: the ACK."""
        (offer,) = self.say(DISCOVER, options, **fields)  # type: ignore[arg-type]
        (ack,) = self.take(offer, options, **fields)
        return ack

    def told(self, kind: type[Event]) -> list[Event]:
        """The events of one kind so far."""
        return [event for event in self.events if type(event) is kind]

    def machine(self, mac: bytes = MAC) -> Machine:
        """What is known of a machine."""
        machine = self.machines.get(mac_text(mac))
        assert machine is not None
        return machine


def mac(index: int) -> bytes:
    """The hardware address of one of many machines."""
    return b"\x02\x00" + index.to_bytes(4, "big")
