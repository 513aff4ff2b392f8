"""
The TFTP server at work: requests in, sessions that answer them, and their end.

Each transfer has a socket of its own (its TID, RFC 1350 4), bound to the address that the client asked; with
C{single_port} all share the server's.  What a name means is the resolver's business, who may ask is C{admit}'s.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from attrs import define, evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pybootd.config import LimitsConfig, TftpdConfig
from pybootd.content.content import Content
from pybootd.content.resolver import Resolver
from pybootd.errors import Forbidden, MalformedPacket, NotFound, PybootdError
from pybootd.events import (
    Bus,
    FileAsked,
    FileMissing,
    Refused,
    TransferBegun,
    TransferEnded,
    TransferFailed,
    TransferProgress,
)
from pybootd.machine import Firmware, Machine, Machines
from pybootd.text import printable
from pybootd.tftp import packet
from pybootd.tftp.netascii import NetasciiBody
from pybootd.tftp.options import Agreement, Ceilings, negotiate
from pybootd.tftp.packet import ErrorCode, Request
from pybootd.tftp.sender import Sender
from pybootd.tftp.session import WINDOWS_A_TURN, Session
from pybootd.tftp.transfer import State, Transfer
from pybootd.throttle import Throttle

SWEEP = 0.01
"""Seconds between looks at the deadlines of all transfers: one timer for all is much cheaper than one for each."""

PROGRESS = 0.5
"""Seconds between two reports of one transfer's progress."""

SEND_BUFFER = 512 << 10

FIRMWARE = (Firmware.PXE, Firmware.IPXE, Firmware.RASPBERRY_PI, Firmware.UNKNOWN)
"""Clients some of which cannot put IP fragments together."""

_TROUBLE = {NotFound: ErrorCode.FILE_NOT_FOUND, Forbidden: ErrorCode.ACCESS_VIOLATION}

Admit = Callable[[IPv4Address], "str | None"]
"""Says why an address is not served, or None: it is."""


@define(eq=False)
class Running:
    """A session and what is told of it."""

    session: Session
    channel: Channel
    name: str
    mac: str
    number: int
    begun: float
    told: float
    told_bytes: int = 0


class Tftp:
    """Everything but the socket on the well-known port."""

    log = Logger()

    def __init__(
        self,
        config: TftpdConfig,
        limits: LimitsConfig,
        resolver: Resolver,
        machines: Machines,
        bus: Bus,
        reactor: Any,
        *,
        admit: Admit = lambda address: None,
        time: Callable[[], float] | None = None,
    ) -> None:
        """@param time: seconds since the epoch, for events; the reactor's clock if not given."""
        self._config = config
        self._limits = limits
        self._resolver = resolver
        self._machines = machines
        self._bus = bus
        self._reactor = reactor
        self._admit = admit
        self._time = time or reactor.seconds
        self._sender = Sender()
        self._ceilings = Ceilings(config.blocksize, config.max_blocksize, config.max_windowsize)
        self._running: dict[tuple[str, int], Running] = {}
        self._asked: dict[tuple[str, int], bytes] = {}
        self._clients: dict[str, int] = {}
        self._mtus: dict[int, int] = {}
        self._sweeping: Any = None
        self._malformed = Throttle(reactor.seconds)
        self.main: socket.socket | None = None
        """The server's own socket, once it is bound: refusals leave from it."""

    # requests

    def received(self, data: bytes, source: tuple[str, int], destination: int = 0, interface: int = 0) -> None:
        """A datagram arrived at the server's port."""
        running = self._running.get(source)
        kind = packet.opcode(data)
        if kind not in (packet.RRQ, packet.WRQ):
            if running is not None and self._config.single_port:
                running.session.receive(data)
            elif kind != packet.ERROR and self._malformed.admits(source[0]):
                # nothing is said to an ERROR, or two servers would never stop (RFC 1350 2)
                self._refuse(source, ErrorCode.UNKNOWN_TID, "no such transfer")
            return
        try:
            request = packet.decode_request(data)
        except MalformedPacket as error:
            if self._malformed.admits(source[0]):
                self.log.warn("a datagram from {source} is no request: {reason}", source=source[0], reason=str(error))
            return
        self._asked_for(request, source, destination, interface)

    def _asked_for(self, request: Request, source: tuple[str, int], destination: int, interface: int) -> None:
        if self._asked.get(source) == request.name:
            return  # a duplicate: the first one's answer is on its way, and repeated if it is lost
        running = self._running.get(source)
        if running is not None:
            if running.name == request.name.decode("utf-8", "surrogateescape"):
                return
            running.session.close("the client asked for another file from the same port")
        address = IPv4Address(source[0])
        machine = self._machines.at(address)
        name = request.name.decode("utf-8", "surrogateescape")
        self._bus.publish(FileAsked(self._time(), _mac(machine), address, "tftp", name))
        refusal = self._refusal(request, address)
        if refusal is not None:
            self._bus.publish(Refused(self._time(), _mac(machine), address, printable(name), refusal[1], ""))
            self._refuse(source, *refusal)
            return
        self._asked[source] = request.name
        try:
            found = self._resolver.resolve(request.name, machine)
        except Exception:
            self._missing(Failure(), request, source)
            return
        if isinstance(found, Deferred):
            found.addCallback(self._begin, request, source, destination, interface)
            found.addErrback(self._missing, request, source)
        else:
            self._begin(found, request, source, destination, interface)

    def _refusal(self, request: Request, address: IPv4Address) -> tuple[int, str] | None:
        """Why the request is refused before its name is even looked at."""
        if request.write:
            return ErrorCode.ACCESS_VIOLATION, "this server is read-only"
        if request.mode not in ("octet", "netascii"):
            return ErrorCode.ILLEGAL_OPERATION, f"no mode {printable(request.mode, 20)}; ask for octet"
        reason = self._admit(address)
        if reason is not None:
            return ErrorCode.ACCESS_VIOLATION, reason
        if self._clients.get(str(address), 0) >= self._limits.transfers_per_client:
            return ErrorCode.UNDEFINED, "too many transfers of this client at once; try again"
        if len(self._running) + len(self._asked) >= self._limits.transfers and not self._evict():
            return ErrorCode.UNDEFINED, "too many transfers at once; try again"
        return None

    def _evict(self) -> bool:
        """End the oldest transfer whose client never answered: invented clients must not keep out real ones."""
        for running in self._running.values():
            if running.session.transfer.state is State.ASKED:
                running.session.close("the client never answered, and others wait")
                return True
        return False

    def _missing(self, failure: Failure, request: Request, source: tuple[str, int]) -> None:
        self._asked.pop(source, None)
        name = request.name.decode("utf-8", "surrogateescape")
        if failure.check(PybootdError):
            reason = failure.getErrorMessage()
        else:
            self.log.failure("cannot serve {name}", failure, name=printable(name))
            reason = "internal error"
        machine = self._machines.at(IPv4Address(source[0]))
        self._bus.publish(
            FileMissing(self._time(), _mac(machine), IPv4Address(source[0]), "tftp", name, printable(reason))
        )
        code = next((code for kind, code in _TROUBLE.items() if failure.check(kind)), ErrorCode.UNDEFINED)
        self._refuse(source, code, reason)

    def _refuse(self, source: tuple[str, int], code: int, reason: str) -> None:
        if self.main is not None:
            with contextlib.suppress(OSError):
                self.main.sendto(packet.error(code, reason), source)

    # transfers

    def _begin(
        self, content: Content, request: Request, source: tuple[str, int], destination: int, interface: int
    ) -> None:
        self._asked.pop(source, None)
        size = content.size
        if request.mode == "netascii":
            content, size = evolve(content, body=NetasciiBody(content.body), size=None), None
        machine = self._machines.at(IPv4Address(source[0]))
        mtu = self._mtu(interface)
        ceilings = self._ceilings
        if machine is None or machine.firmware in FIRMWARE:
            ceilings = ceilings.below(mtu)
        agreement = negotiate(request.options, ceilings, size)
        try:
            channel = self._channel(destination)
        except OSError as error:
            content.body.close()
            self.log.error("no socket for a transfer: {reason}", reason=error.strerror)
            self._refuse(source, ErrorCode.UNDEFINED, "the server is at its limit; try again")
            return
        now = self._reactor.seconds()
        last = None if size is None else size // agreement.blksize + 1
        transfer = Transfer(agreement, last, now, timeout=self._config.timeout, retries=self._config.retries)
        session = Session(
            transfer, agreement, content, channel.socket, source, self, self._sender, self._reactor.seconds, mtu
        )  # fmt: skip
        name = request.name.decode("utf-8", "surrogateescape")
        running = Running(session, channel, name, _mac(machine), self._bus.number(), self._time(), now)
        self._running[source] = running
        self._clients[source[0]] = self._clients.get(source[0], 0) + 1
        self._tell_begun(running, agreement)
        channel.serve(session)
        session.pump()
        self._sweep()

    def _channel(self, destination: int) -> Channel:
        if self._config.single_port and self.main is not None:
            return Channel(self.main, self._reactor, shared=True)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            own = str(IPv4Address(destination)) if destination else str(self._config.address or "0.0.0.0")
            sock.bind((own, 0))
        except OSError:
            sock.close()
            raise
        return Channel(sock, self._reactor)

    def _mtu(self, interface: int) -> int:
        """Bytes of the largest packet on an interface; Ethernet's where that cannot be told."""
        if interface not in self._mtus:
            try:
                name = socket.if_indextoname(interface)
                self._mtus[interface] = int(Path(f"/sys/class/net/{name}/mtu").read_text())
            except (OSError, ValueError):
                self._mtus[interface] = 1500
        return self._mtus[interface]

    def writable(self, session: Session) -> None:
        """The session's socket is full: go on when it is not."""
        running = self._running.get(session.client)
        if running is not None:
            running.channel.wait_writable(session)

    def ended(self, session: Session, failure: str) -> None:
        """A session is over."""
        running = self._running.get(session.client)
        if running is None or running.session is not session:
            return
        del self._running[session.client]
        running.channel.close()
        left = self._clients.get(session.client[0], 1) - 1
        if left:
            self._clients[session.client[0]] = left
        else:
            self._clients.pop(session.client[0], None)
        self._tell_ended(running, failure)

    def stop(self) -> None:
        """End every transfer."""
        for running in tuple(self._running.values()):
            running.session.close("the server stops")
        if self._sweeping is not None and self._sweeping.active():
            self._sweeping.cancel()

    def _sweep(self) -> None:
        if self._sweeping is None or not self._sweeping.active():
            self._sweeping = self._reactor.callLater(SWEEP, self._swept)

    def _swept(self) -> None:
        now = self._reactor.seconds()
        for running in tuple(self._running.values()):
            if running.session.transfer.deadline <= now:
                running.session.expire(now)
            if now - running.told >= PROGRESS:
                running.told = now
                self._tell_progress(running)
        if self._running:
            self._sweep()

    # telling

    def _tell_begun(self, running: Running, agreement: Agreement) -> None:
        content = running.session.content
        address = IPv4Address(running.session.client[0])
        self._bus.publish(
            TransferBegun(
                running.begun, running.mac, address, "tftp", running.number, running.name, content.source, content.size,
                str(agreement),
            )
        )  # fmt: skip

    def _tell_progress(self, running: Running) -> None:
        arrived = running.session.arrived
        if arrived != running.told_bytes and self._bus.listening:
            running.told_bytes = arrived
            address = IPv4Address(running.session.client[0])
            self._bus.publish(TransferProgress(self._time(), running.mac, address, running.number, arrived))

    def _tell_ended(self, running: Running, failure: str) -> None:
        now, address = self._time(), IPv4Address(running.session.client[0])
        arrived = running.session.arrived
        head = (now, running.mac, address, "tftp", running.number, running.name, arrived)
        if failure:
            self._bus.publish(TransferFailed(*head, failure, running.session.transfer.probe))
        else:
            self._bus.publish(TransferEnded(*head, now - running.begun, running.session.resent))


@implementer(IReadDescriptor, IWriteDescriptor)
class Channel:
    """A transfer's socket in the reactor; with a shared one the server's own port does the reading."""

    def __init__(self, sock: socket.socket, reactor: Any, shared: bool = False) -> None:
        self.socket = sock
        self._reactor = reactor
        self._shared = shared
        self._session: Session | None = None

    def serve(self, session: Session) -> None:
        """Hand everything that the client sends to this session."""
        self._session = session
        if not self._shared:
            self._reactor.addReader(self)

    def wait_writable(self, session: Session) -> None:
        """Call the session when the socket takes more."""
        if self._shared:
            self._reactor.callLater(SWEEP, session.pump)
        else:
            self._reactor.addWriter(self)

    def close(self) -> None:
        """The transfer is over."""
        self._session = None
        if not self._shared:
            self._reactor.removeReader(self)
            self._reactor.removeWriter(self)
            self.socket.close()

    def fileno(self) -> int:
        return self.socket.fileno()

    def logPrefix(self) -> str:
        return "TFTP transfer"

    def connectionLost(self, reason: object) -> None:
        if self._session is not None:
            self._session.close("the socket was lost")

    def doWrite(self) -> None:
        self._reactor.removeWriter(self)
        if self._session is not None:
            self._session.pump()

    def doRead(self) -> None:
        for _ in range(WINDOWS_A_TURN):
            try:
                data, source = self.socket.recvfrom(2048)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # an ICMP error: the client is gone, or will ask again
            session = self._session
            if session is None:
                return
            if source == session.client:
                session.receive(data)
            elif packet.opcode(data) != packet.ERROR:
                # RFC 1350 4: a stranger is told so, and the transfer goes on
                with contextlib.suppress(OSError):
                    self.socket.sendto(packet.error(ErrorCode.UNKNOWN_TID, "unknown transfer"), source)
            if self._session is None:
                return


def _mac(machine: Machine | None) -> str:
    return machine.mac if machine is not None else ""
