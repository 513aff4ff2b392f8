"""DHCP's way out: UDP with packet information, raw frames to clients without an address, else broadcast."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybootd.dhcp.delivery import LIMITED_BROADCAST, Destination, Way
from pybootd.dhcp.settings import Network
from pybootd.machine import mac_text
from pybootd.net.echo import Echo
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
        echo: Echo | None = None,
    ) -> None:
        """
        @param ports: by the number that requests know them by.
        @param neighbours: by interface index; none where raw frames cannot be had.
        @param echo: probes addresses that only relays and routers reach.
        """
        self._ports = ports
        self._neighbours = neighbours
        self._probe_seconds = probe_seconds
        self._throttle = throttle
        self._echo = echo

    def turn(self, probe_seconds: float, echo: Echo | None) -> None:
        """Probe in this way from now on; parameters as at the beginning."""
        self._probe_seconds, self._echo = probe_seconds, echo

    def send(self, data: bytes, destination: Destination, network: Network, port: int) -> None:
        """Send one reply; what cannot leave is logged and lost, as datagrams are."""
        try:
            self._send(data, destination, network, port)
        except OSError as error:
            self._lost(destination.chaddr, destination.address, error)

    def _send(self, data: bytes, destination: Destination, network: Network, port: int) -> None:
        address, target_port = destination.address, destination.port
        if destination.way is Way.HARDWARE:
            neighbours = self._neighbours.get(destination.interface)
            if neighbours is not None:
                own_port = self._ports[port].port
                neighbours.send(data, network.server, own_port, destination.chaddr, address, target_port)
                return
            address = LIMITED_BROADCAST
        # a relay's network is reached as the routing table says, any other through the interface of the request
        interface = destination.interface if destination.way is not Way.ROUTED else 0
        source = network.server if destination.way is not Way.ROUTED else 0
        self._ports[port].send(data, (_text(address), target_port), interface, source)

    def announce(self, network: Network, chaddr: bytes) -> None:
        """One ARP frame to a client that needs it."""
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
