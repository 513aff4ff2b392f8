"""DHCP's way out: UDP with packet information, raw frames to clients without an address, else broadcast."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pybootd.dhcp.delivery import LIMITED_BROADCAST, Destination, Way
from pybootd.dhcp.settings import Network
from pybootd.machine import mac_text
from pybootd.net.neighbour import Neighbours
from pybootd.net.udp import DatagramPort
from pybootd.throttle import Throttle


class DhcpTransport:
    """Carries replies from this server's ports."""

    log = Logger()

    def __init__(
        self,
        ports: Mapping[int, DatagramPort],
        neighbours: Mapping[int, Neighbours],
        probe_seconds: float,
        throttle: Throttle,
    ) -> None:
        """
        @param ports: by the number that requests know them by.
        @param neighbours: by interface index; none where raw frames cannot be had.
        """
        self._ports = ports
        self._neighbours = neighbours
        self._probe_seconds = probe_seconds
        self._throttle = throttle

    def send(self, data: bytes, destination: Destination, network: Network, port: int) -> None:
        """Send one reply; what cannot leave is logged and lost, as datagrams are."""
        try:
            self._send(data, destination, network, port)
        except OSError as error:
            if self._throttle.admits(destination.address):
                to = mac_text(destination.chaddr) if destination.chaddr else IPv4Address(destination.address)
                self.log.error("no answer to {to} could leave: {reason}", to=to, reason=error.strerror)

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
        self._ports[port].send(data, (str(IPv4Address(address)), target_port), interface, source)

    def announce(self, network: Network, chaddr: bytes) -> None:
        """One ARP frame to a client that needs it."""
        neighbours = self._neighbours.get(network.interface)
        if neighbours is not None:
            neighbours.announce(network.server, chaddr)

    def probe(self, network: Network, address: int) -> Deferred[bool] | None:
        """Does anybody have this address?  None where that cannot be asked."""
        neighbours = self._neighbours.get(network.interface)
        return neighbours.probe(address, self._probe_seconds) if neighbours is not None else None
