"""
One UDP socket that knows where each datagram came in, and says where each answer goes out.

Packet information (IP_PKTINFO) tells the interface and the address that a client used; the answer leaves by the same
interface and from the same address, which EDK2 insists on.  Where the system has none, datagrams say interface 0
and the routing table chooses.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from twisted.logger import Logger

from pybootd.errors import EnvironmentProblem
from pybootd.net.holders import holder_of
from pybootd.net.inherited import inherited
from pybootd.net.reader import SocketReader

Receive = Callable[[bytes, tuple[str, int], int, int], None]
"""Takes a datagram, where it came from, the address it was sent to (0 if not known), the interface's index (or 0)."""

IP_PKTINFO = {"Linux": 8, "Darwin": 26}.get(os.uname().sysname, 0)
"""Both systems mean the same by it: C{struct in_pktinfo} with the interface's index and two addresses."""

SO_RCVBUFFORCE = 33
IP_BOUND_IF = 25
"""What macOS has in place of SO_BINDTODEVICE."""

_ADDRESS = struct.Struct("!I")
_NATIVE = struct.Struct("@I")

BUFFER = 4 << 20
"""Bytes: a thousand machines that ask in one instant are heard without a second try."""

LARGEST = 65535
BURST = 64
"""Datagrams read in one wake-up; then others get their turn."""


def bind_udp(address: str, port: int, what: str, device: str = "") -> socket.socket:
    """
    A bound socket with packet information, for one port of this server's.

    @param what: the line of the configuration that says so, for the message.
    @param device: the interface that it is for, where broadcasts of that one only are to be heard: a socket that is
        bound to an address of its own hears none at all.
    @raise EnvironmentProblem: the port cannot be had; says why.
    """
    given = inherited(socket.SOCK_DGRAM, port, what)
    sock = given or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if IP_PKTINFO:
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        _widen(sock)
        if device:
            _bind_to_device(sock, device)
        if given is None:
            sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise EnvironmentProblem(refused(error, address, port, "UDP", what)) from None
    return sock


def _widen(sock: socket.socket) -> None:
    """The largest receive buffer that is to be had; one that was made larger by others stays."""
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= BUFFER:
        return
    for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
            return
        except OSError:
            continue


def _bind_to_device(sock: socket.socket, device: str) -> None:
    if hasattr(socket, "SO_BINDTODEVICE"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_BOUND_IF, socket.if_nametoindex(device))


def refused(error: OSError, address: str, port: int, protocol: str, what: str) -> str:
    """Why a port cannot be had, for the person who has to mend it."""
    begin = f"{what}: port {port} ({protocol})"
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(port, protocol)
        by = f" by {holder}" if holder else ""
        return f"{begin} is taken{by}; stop that program, or serve another port"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{begin} needs root (or CAP_NET_BIND_SERVICE); start as root, with twistd --uid to drop it afterwards"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{begin}: {address} is no address of this host; mend address in that section, or give it to the host"
    return f"{begin}: {error.strerror}"


class DatagramPort(SocketReader):
    """A bound socket in the reactor."""

    log = Logger()

    def __init__(
        self, sock: socket.socket, receive: Receive, reactor: Any, after: Callable[[], None] = lambda: None
    ) -> None:
        """@param after: called when all datagrams of a wake-up were handed over."""
        super().__init__(sock, reactor)
        self._receive = receive
        self._after = after
        self.port: int = sock.getsockname()[1]
        self.prefix = f"UDP {self.port}"

    def doRead(self) -> None:
        self._read()
        self._after()

    def _read(self) -> None:
        for _ in range(BURST):
            try:
                data, control, _, source = self._socket.recvmsg(LARGEST, 64)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # an ICMP error of an earlier answer: it says nothing of the next datagram
                continue
            destination = interface = 0
            for level, kind, value in control:
                if level == socket.IPPROTO_IP and kind == IP_PKTINFO and len(value) >= 12:
                    interface, destination = _way_in(value)
            try:
                self._receive(data, source, destination, interface)
            except Exception:
                self.log.failure("a datagram from {source} was dropped", source=source[0])

    def send(self, data: bytes, address: tuple[str, int], interface: int = 0, source: int = 0) -> None:
        """
        Send one datagram.

        @param interface: the index of the interface to leave by; 0: as routed.
        @param source: the address to leave from; 0: the interface's own.
        @raise OSError: it could not leave.
        """
        send(self._socket, data, address, interface, source)


def send(sock: socket.socket, data: bytes, address: tuple[str, int], interface: int = 0, source: int = 0) -> None:
    """The same with any UDP socket."""
    if IP_PKTINFO and (interface or source):
        sock.sendmsg((data,), _way_out(interface, source), 0, address)
    else:
        sock.sendto(data, address)


@lru_cache(256)
def _way_in(information: bytes) -> tuple[int, int]:
    """The interface and the address of a question's packet information; few, as those of answers."""
    return _NATIVE.unpack_from(information)[0], _ADDRESS.unpack_from(information, 8)[0]


@lru_cache(256)
def _way_out(interface: int, source: int) -> tuple[tuple[int, int, bytes]]:
    """An answer's packet information: a server has few interfaces, and few addresses on them."""
    information = struct.pack("@i", interface) + _ADDRESS.pack(source) + b"\0" * 4
    return ((socket.IPPROTO_IP, IP_PKTINFO, information),)
