"""
DHCP's way out: raw frames to clients without an address, one of them or all; else UDP with packet information.

What one wake-up of the reactor has to say leaves together at its end.  Each datagram that leaves by itself wakes up who
waits for it, who asks on, and so wakes up this process, for a single datagram again: on two cores an exchange costs
107 us of processor time so, and 91 us together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybootd.dhcp.delivery import LIMITED_BROADCAST, Destination, Way
from pybootd.dhcp.settings import Network
from pybootd.machine import mac_text
from pybootd.net.echo import Echo
from pybootd.net.frames import EVERYBODY
from pybootd.net.neighbour import Neighbours
from pybootd.net.udp import DatagramPort
from pybootd.throttle import Throttle


@lru_cache(256)
def _text(address: int) -> str:
    """Broadcasts, and relays, are few: to write them down took as long as to make the reply's options."""
    return str(IPv4Address(address))


class DhcpTransport:
    """Carries replies from this server's ports."""

    log = Logger()

    def __init__(
        self,
        ports: Mapping[int, DatagramPort],
        neighbours: Mapping[int, Neighbours],
        probe_seconds: float,
        throttle: Throttle,
        call_later: Callable[..., object],
        echo: Echo | None = None,
    ) -> None:
        """
        @param ports: by the number that requests know them by.
        @param neighbours: by interface index; none where raw frames cannot be had.
        @param call_later: C{reactor.callLater}.
        @param echo: probes addresses that only relays and routers reach.
        """
        self._ports = ports
        self._neighbours = neighbours
        self._probe_seconds = probe_seconds
        self._throttle = throttle
        self._call_later = call_later
        self._echo = echo
        self._leaving: list[tuple[bytes, Destination, Network, int]] = []
        """Replies that wait for the end of this wake-up, of which there is a bounded number."""
        self._scheduled = False
        self._ended = False

    def turn(self, probe_seconds: float, echo: Echo | None) -> None:
        """Probe in this way from now on; parameters as at the beginning."""
        self._probe_seconds, self._echo = probe_seconds, echo

    def send(self, data: bytes, destination: Destination, network: Network, port: int) -> None:
        """Send one reply, soon; what cannot leave is logged and lost, as datagrams are."""
        if self._ended:
            return
        if not self._scheduled:
            self._scheduled = True
            self._call_later(0, self._due)
        self._leaving.append((data, destination, network, port))

    def _due(self) -> None:
        self._scheduled = False
        self.flush()

    def flush(self) -> None:
        """What waits leaves now."""
        leaving, self._leaving = self._leaving, []
        for data, destination, network, port in leaving:
            try:
                self._send(data, destination, network, port)
            except OSError as error:
                self._lost(destination.chaddr, destination.address, error)

    def end(self) -> None:
        """What waits leaves now, and nothing after it: the sockets are about to be closed."""
        self.flush()
        self._ended = True

    def _send(self, data: bytes, destination: Destination, network: Network, port: int) -> None:
        way, address, target_port = destination.way, destination.address, destination.port
        if way is Way.ROUTED:
            # as the routing table says; a machine of its own, and no relay, knows this server by one of its addresses
            source = network.server if destination.interface else 0
            self._ports[port].send(data, (_text(address), target_port), 0, source)
            return
        neighbours = self._neighbours.get(destination.interface)
        if neighbours is not None:
            to = destination.chaddr if way is Way.HARDWARE else EVERYBODY
            neighbours.send(data, network.server, self._ports[port].port, to, address, target_port)
            return
        if way is Way.HARDWARE:
            address = LIMITED_BROADCAST
        self._ports[port].send(data, (_text(address), target_port), destination.interface, network.server)

    def announce(self, network: Network, chaddr: bytes) -> None:
        """One ARP frame to a client that needs it, behind what is sent to it."""
        self.flush()
        neighbours = self._neighbours.get(network.interface)
        if neighbours is not None:
            try:
                neighbours.announce(network.server, chaddr)
            except OSError as error:
                self._lost(chaddr, network.server, error)

    def _lost(self, chaddr: bytes, address: int, error: OSError) -> None:
        to = mac_text(chaddr) if chaddr else str(IPv4Address(address))
        if self._throttle.admits(to):
            self.log.error("no answer to {to} could leave: {reason}", to=to, reason=error.strerror)

    def probe(self, network: Network, address: int) -> Deferred[bool] | None:
        """Does anybody have this address?  None where that cannot be asked."""
        way = self._neighbours.get(network.interface) if network.interface else self._echo
        return way.probe(address, self._probe_seconds) if way is not None else None
