"""
Replies on their way: each is written, routed and sent, and whoever listens is told.

What is to be said was decided, and what it promises is durable, before anything comes here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybootd.dhcp.decision import Decision, Reply
from pybootd.dhcp.delivery import Destination, route
from pybootd.dhcp.exchanges import Exchanges
from pybootd.dhcp.facts import Facts
from pybootd.dhcp.history import History
from pybootd.dhcp.once import Once
from pybootd.dhcp.packet import encode
from pybootd.dhcp.policy import decide
from pybootd.dhcp.quirks import quirk_of
from pybootd.dhcp.request import Kind, Request
from pybootd.dhcp.settings import Network, Settings
from pybootd.dhcp.telling import Telling, offers
from pybootd.leases.table import LeaseTable
from pybootd.machine import Firmware, Machine
from pybootd.text import printable


class Transport(Protocol):
    """What carries replies: sockets in the daemon, a list in tests."""

    def send(self, data: bytes, destination: Destination, network: Network, port: int) -> None:
        """Send a datagram from this server's C{port}; never raises."""

    def announce(self, network: Network, chaddr: bytes) -> None:
        """One ARP frame to a client that needs it."""

    def probe(self, network: Network, address: int) -> Deferred[bool] | None:
        """Does anybody have this address?  None where that cannot be asked."""


class Replies:
    """The way out."""

    log = Logger()

    def __init__(
        self,
        transport: Transport,
        table: LeaseTable,
        telling: Telling,
        history: History,
        once: Once | None,
        exchanges: Exchanges | None,
        time: Callable[[], float],
    ) -> None:
        """Parameters as L{pybootd.dhcp.protocol.Dhcp} has them."""
        self.transport = transport
        self._table = table
        self._telling = telling
        self._history = history
        self._once = once
        self._exchanges = exchanges
        self._time = time

    def send(
        self, request: Request, machine: Machine, decision: Decision, network: Network, settings: Settings
    ) -> None:
        """What was decided leaves: every reply, then the word of it to whoever listens."""
        quirk = quirk_of(request)
        for reply in decision.replies:
            destination = route(
                request,
                reply,
                broadcast=settings.broadcast_for(network, request.chaddr),
                never_broadcast=quirk.never_broadcast,
                server_port=settings.port,
            )
            data = encode(reply, request)
            self.transport.send(data, destination, network, request.port)
            if self._exchanges is not None:
                self._exchanges.replied(machine.mac, request, data)
        if decision.replies:
            self._tell(request, machine, decision.replies[0], decision)
        if decision.next_boot and decision.replies and self._once is not None:
            reply = decision.replies[0]
            if self._once.told(request.key, request, reply.type, reply.boot_file, self._time()):
                self.log.info("{mac} boots {file}, this time only", mac=machine.mac, file=printable(reply.boot_file))
        if decision.replies and quirk.announce:
            self.transport.announce(network, request.chaddr)

    def _tell(self, request: Request, machine: Machine, reply: Reply, decision: Decision) -> None:
        """@param reply: the first: a proxy's second says the same in another form."""
        if offers(request, reply):
            self._telling.offered(machine, reply)
            if request.boots:
                self._history.answered(request.key)
            if request.firmware is Firmware.IPXE:
                self._history.told(request.key, reply.boot_file)
            if decision.claim is None:
                return
        lease = self._table.at(reply.yiaddr) if reply.yiaddr else None
        if lease is not None:
            self._telling.leased(request, machine, reply, lease)

    def tell_form(
        self, request: Request, machine: Machine, facts: Facts, decision: Decision, settings: Settings
    ) -> None:
        """Firmware that ignored an answer is spoken to in another way: somebody may want to know which."""
        if facts.attempt and decision.replies and request.kind is Kind.DISCOVER:
            form = decision.replies[0].form
            usual = decide(request, settings, evolve(facts, attempt=0), traced=False)
            if form != usual.replies[0].form:
                self.log.info("{mac} or its like ignored the usual answer; now: {form}", mac=machine.mac, form=form)
