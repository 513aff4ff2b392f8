"""
The UDP ports of transfers: one for each at a time (its TID, RFC 1350 4), and used again when that is over.

A port is two sockets.  One is connected to the client: the kernel need not look up the way for each packet, nor
Python the address, which is a sixth of a block's processor time in a hall of machines.  The other one hears everybody
else on the port, so that who writes to another's transfer is told so.

To make, bind, watch and close sockets takes 20 of the 110 us of a small file.  So a port whose transfer
came to a good end rests, and serves the next client.  It never serves the same client's port twice: what is late of
one transfer would be taken for the next one's.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pybootd.tftp import packet
from pybootd.tftp.hub import Hub, Member

RESTING = 16
"""Ports that wait for a client, at most."""

KEPT = 2.0
"""Seconds, at most, for which they wait: whoever is short of descriptors has them back then."""

CLIENTS = 64
"""Transfers of one port, until another one takes its place: so it cannot be foreseen for long."""

LATE = 1024
"""Datagrams that are thrown away before a transfer; a receive buffer of the usual size holds 300."""

LARGEST = 256
"""Bytes that are looked at of what is said to the wrong port."""

ANY = "0.0.0.0"

UNKNOWN_TRANSFER = packet.error(packet.ErrorCode.UNKNOWN_TID, "unknown transfer")


class Port:
    """
    One port.

    @ivar socket: is connected to the client, and does not block.
    @ivar own: the address that it is bound to.
    @ivar clients: those who were served there; a tuple, for most ports are new, and a set takes 170 bytes more.
    """

    __slots__ = ("_hub", "_ports", "_strangers", "clients", "own", "socket")

    def __init__(self, sock: socket.socket, others: socket.socket | None, own: str, ports: Ports, hub: Hub) -> None:
        self.socket = sock
        self.own = own
        self.clients: tuple[tuple[str, int], ...] = ()
        self._ports = ports
        self._hub = hub
        self._strangers = None if others is None else Strangers(others, self, hub)
        hub.watch(sock.fileno(), self)

    def suits(self, own: str, client: tuple[str, int]) -> bool:
        """Whether a transfer to that client may have it."""
        return self.own == own and client not in self.clients

    def lead_to(self, client: tuple[str, int]) -> None:
        """
        Connect to a client.  What came until then was not from there, for it does not know the port yet.

        That holds for a new port too, which is bound a moment before; of the two sockets the kernel may choose this
        one for a stranger's datagram then.

        @raise OSError: there is no way to it, or no end of what is to be thrown away.
        """
        self.clients += (client,)
        self.socket.connect(client)
        for _ in range(LATE):
            if not self._discard():
                return
        raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))

    def begin(self, member: Member) -> None:
        """A transfer hears what comes from its client, from now on."""
        self._hub.add(self.socket.fileno(), member)

    def end(self, again: bool) -> None:
        """
        The transfer is over.

        @param again: its client is through with it.
        """
        self._hub.remove(self.socket.fileno())
        if again and len(self.clients) < CLIENTS and self.own != ANY:  # one that has left by any keeps its source
            self._ports.rest(self)
        else:
            self.close()

    def close(self) -> None:
        """Nobody is served any more."""
        self._hub.unwatch(self.socket.fileno())
        self.socket.close()
        if self._strangers is not None:
            self._strangers.close()

    # while it rests: what is late of the transfer before, or stands for an error that nobody asks for

    def readable(self, now: float) -> bool:
        self._discard()
        return True

    def writable(self, now: float) -> None:
        """Nothing is ever queued here."""

    def failed(self) -> None:
        """Nothing is lost by it."""

    def _discard(self) -> bool:
        try:
            self.socket.recv(LARGEST)
        except BlockingIOError:
            return False
        except OSError:
            pass  # an ICMP error: it is gone by being told
        return True


class Strangers:
    """The socket for whoever else writes to a port."""

    __slots__ = ("_hub", "_port", "_socket")

    def __init__(self, sock: socket.socket, port: Port, hub: Hub) -> None:
        """@param port: whose clients are no strangers: what is late of them is not worth an answer."""
        self._socket = sock
        self._port = port
        self._hub = hub
        hub.watch(sock.fileno(), self)

    def readable(self, now: float) -> bool:
        with suppress(OSError):
            datagram, stranger = self._socket.recvfrom(LARGEST)
            if stranger not in self._port.clients and packet.opcode(datagram) != packet.ERROR:
                self._socket.sendto(UNKNOWN_TRANSFER, stranger)
        return True

    def writable(self, now: float) -> None:
        """It never waits for that."""

    def failed(self) -> None:
        """Nobody depends on it."""

    def close(self) -> None:
        self._hub.unwatch(self._socket.fileno())
        self._socket.close()


class Ports:
    """All ports of a process; those that rest, the one that has rested for longest first."""

    def __init__(self, hub: Hub, call_later: Callable[[float, Callable[[], None]], Any]) -> None:
        """@param call_later: the reactor's."""
        self._hub = hub
        self._call_later = call_later
        self._resting: dict[Port, None] = {}
        self._timer: Any = None

    def take(self, own: str, client: tuple[str, int]) -> Port:
        """
        A port for a transfer to that client.

        @param own: the address that the client wrote to.
        @raise OSError: there is none to be had, or no way to the client.
        """
        port = next((port for port in self._resting if port.suits(own, client)), None)
        if port is None:
            port = self._new(own)
        else:
            del self._resting[port]
        try:
            port.lead_to(client)
        except OSError:
            port.close()
            raise
        return port

    def adopt(self, sock: socket.socket) -> Port:
        """The port of a transfer that another process began; its socket is connected to the client already."""
        strangers = None
        with suppress(OSError):  # then the kernel tells them, by ICMP
            strangers = _bound(sock.getsockname())
        return Port(sock, strangers, ANY, self, self._hub)

    def rest(self, port: Port) -> None:
        """Its transfer is over."""
        self._resting[port] = None
        if len(self._resting) > RESTING:
            oldest = next(iter(self._resting))
            del self._resting[oldest]
            oldest.close()
        if self._timer is None:  # one at a time, however often ports come and go
            self._timer = self._call_later(KEPT, self._rested)

    def close(self) -> None:
        """Close those that rest."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._close_all()

    def _rested(self) -> None:
        self._timer = None
        self._close_all()

    def _close_all(self) -> None:
        while self._resting:
            self._resting.popitem()[0].close()

    def _new(self, own: str) -> Port:
        strangers = _bound((own, 0))
        try:
            sock = _bound(strangers.getsockname())
        except OSError:
            strangers.close()
            raise
        return Port(sock, strangers, own, self, self._hub)


def _bound(address: tuple[str, int]) -> socket.socket:
    """
    A socket that shares its port with others of the same user, and with nobody else.

    @param address: port 0: any that is free, also of those that may be shared.
    @raise OSError: there is none to be had.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if not address[1]:
            sock.bind(address)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if address[1]:
            sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock
