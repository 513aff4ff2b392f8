"""
The TFTP server at work: requests in, sessions that answer them, and their end.

Each transfer has a port of its own (L{pybootd.tftp.ports}) at the address that the client asked; with
C{single_port} all share the server's.  What a name means is the resolver's business, who may ask is C{admit}'s.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Address
from time import monotonic
from typing import Any, Protocol

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybootd.config import LimitsConfig, TftpdConfig
from pybootd.content.content import Content, from_bytes
from pybootd.content.refusal import script
from pybootd.errors import ContentError, Forbidden, MalformedPacket, NotFound
from pybootd.events import Bus
from pybootd.machine import Firmware, Machine, Machines
from pybootd.net.link import Link, link
from pybootd.text import printable
from pybootd.tftp import packet
from pybootd.tftp.blocks import Runs
from pybootd.tftp.hub import Hub, hub
from pybootd.tftp.lent import Lender, Lent
from pybootd.tftp.netascii import NetasciiBody
from pybootd.tftp.options import Ceilings, negotiate
from pybootd.tftp.packet import ErrorCode
from pybootd.tftp.ports import Port, Ports
from pybootd.tftp.sender import Offload, Sender
from pybootd.tftp.session import Session
from pybootd.tftp.sweep import Sweep
from pybootd.tftp.transfer import Transfer
from pybootd.tftp.upload import Refusal, Uploads, UploadSession
from pybootd.tftp.visit import Visit, Visits
from pybootd.throttle import Throttle

AFRESH = 2.0
"""Seconds after which the same request from a client that had answered is no repetition: it starts again."""

PATIENCE = 60.0
"""Seconds that a file's source may take to say whether it has it."""

SEND_BUFFER = 4 << 20
"""Bytes, for a socket that all transfers share."""

FIRMWARE = (Firmware.PXE, Firmware.IPXE, Firmware.RASPBERRY_PI, Firmware.UNKNOWN)
"""Clients some of which cannot put IP fragments together."""

_TROUBLE = {NotFound: ErrorCode.FILE_NOT_FOUND}

Admit = Callable[[IPv4Address], "str | None"]
"""Says why an address is not served, or None: it is."""


class Resolver(Protocol):
    """What a name means; see L{pybootd.content.resolver.Resolver}."""

    def resolve(self, name: bytes | str, machine: Machine | None) -> Content | Deferred[Content]:
        """@raise ContentError: (or as a Failure) it cannot be had."""


@lru_cache(1024)
def _address(host: str) -> IPv4Address:
    """Of a client, which seldom asks only once."""
    return IPv4Address(socket.inet_aton(host))


@lru_cache(256)
def _text(address: int) -> str:
    """Of the server's own addresses, which are few."""
    return socket.inet_ntoa(address.to_bytes(4, "big"))


class Tftp:
    """
    Everything but the socket on the well-known port.

    @ivar main: that socket, once it is bound; refusals leave from it.
    @ivar lender: knows other processes that may carry out transfers; None: there are none.
    """

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
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """
        @param time: seconds since the epoch, for events; the reactor's clock if not given.
        @param clock: seconds from whenever, for transfers.
        """
        self._machines = machines
        self._bus = bus
        self._reactor = reactor
        self._admit = admit
        self._time = time or reactor.seconds
        self._clock = clock
        self._hub: Hub = hub(reactor, clock)
        self._ports = Ports(self._hub, reactor.callLater)
        self._runs = Runs()
        self._offload = Offload()
        self._visits = Visits(limits.transfers, limits.transfers_per_client)
        self._sweep = Sweep(reactor, self._hub, self._visits.sessions, self._tell_progress)
        self._throttle = Throttle(clock)
        self._exhausted = Throttle(clock, often=1)
        self._main: socket.socket | None = None
        self.lender: Lender | None = None
        self.configure(config, limits, resolver)

    def configure(self, config: TftpdConfig, limits: LimitsConfig, resolver: Resolver) -> None:
        """Go by these settings from the next request on; transfers end as they began."""
        self._config = config
        self._resolver = resolver
        self._own = str(config.address or "0.0.0.0")
        self._ceilings = Ceilings(config.blocksize, config.max_blocksize, config.max_windowsize, limits.window_size)
        self._visits.most, self._visits.most_per_client = limits.transfers, limits.transfers_per_client
        self._uploads = Uploads(config.upload, limits.upload_size) if config.upload is not None else None
        self._links: dict[int, Link] = {}
        self._narrowed: dict[int, Ceilings] = {}
        if self._main is not None:
            self.main = self._main

    @property
    def main(self) -> socket.socket | None:
        return self._main

    @main.setter
    def main(self, sock: socket.socket) -> None:
        self._main = sock
        if self._config.single_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    # requests

    def received(self, data: bytes, source: tuple[str, int], destination: int = 0, interface: int = 0) -> None:
        """
        A datagram arrived at the server's port.

        @param destination: the address it was sent to; 0: not known.
        @param interface: the index of the interface where it came in; 0: not known.
        """
        kind = packet.opcode(data)
        if kind in (packet.RRQ, packet.WRQ):
            self._requested(data, source, destination, interface)
            return
        visit = self._visits.at(source)
        if visit is not None and visit.session is not None and visit.session.shares:
            visit.session.receive(data, self._clock())
        elif kind != packet.ERROR and self._throttle.admits(source[0]):
            # nothing is said to an ERROR, or two servers would never stop (RFC 1350 2)
            self._refuse(source, destination, ErrorCode.UNKNOWN_TID, "no such transfer")

    def _requested(
        self, data: bytes, source: tuple[str, int], destination: int, interface: int, settled: bool = False
    ) -> None:
        way = self._link(interface)
        if destination and (destination == way.broadcast or destination >> 29 == 7):
            return  # RFC 1123 4.2.3.5: a request to everybody is nobody's
        try:
            request = packet.decode_request(data)
        except MalformedPacket as error:
            if self._throttle.admits(source[0]):
                self.log.warn("a datagram from {source} is no request: {reason}", source=source[0], reason=str(error))
            return
        now = self._clock()
        before = self._visits.at(source)
        if before is not None:
            self._hub.look()  # the end of the former one may wait in its own socket
            before = self._visits.at(source)
        if before is not None and isinstance(before.session, Lent) and not settled:
            before.session.settle(lambda: self._requested(data, source, destination, interface, settled=True))
            return
        if before is not None:
            if before.request.name == request.name and not (before.answered and now - before.begun > AFRESH):
                return  # a repetition: the answer is on its way, and sent again if it is lost
            before.close("the client asked anew from the same port")
            self._visits.remove(before)
        address = _address(source[0])
        visit = Visit(
            request, source, address, self._machines.at(address), now, destination, interface, self._bus, self._time
        )
        visit.tell_asked()
        refusal = self._refusal(visit)
        if refusal is not None:
            visit.tell_refused(refusal[1])
            self._refuse(source, destination, *refusal)
            return
        self._visits.add(visit)
        if request.write:
            self._take(visit)
        else:
            self._find(visit)

    def _refusal(self, visit: Visit) -> tuple[int, str] | None:
        """Why a request is refused before its name is even looked at."""
        request = visit.request
        if request.write and self._uploads is None:
            return ErrorCode.ACCESS_VIOLATION, "this server takes no files"
        if request.mode not in ("octet", "netascii"):
            return ErrorCode.ILLEGAL_OPERATION, f"no mode {printable(request.mode, 20)}; ask for octet"
        reason = self._admit(visit.address)
        if reason is not None:
            return ErrorCode.ACCESS_VIOLATION, reason
        if not self._visits.make_room(visit.client[0], known=visit.machine is not None or not self._machines):
            return ErrorCode.UNDEFINED, "too many transfers at once; try again"
        return None

    def _refuse(self, client: tuple[str, int], source: int, code: int, reason: str) -> None:
        if self._main is not None:
            with suppress(OSError):  # then the client asks again
                Sender(self._main, client, self._offload, 0, source).send(packet.error(code, reason))

    def _find(self, visit: Visit) -> None:
        """Look the file up, however long its source takes to say whether it has it."""
        try:
            found = self._resolver.resolve(visit.request.name, visit.machine)
        except Exception:
            self._missing(Failure(), visit)
            return
        if isinstance(found, Deferred):
            visit.wanted = found
            found.addTimeout(PATIENCE, self._reactor)
            found.addCallback(self._found, visit)
            found.addErrback(self._missing, visit)
        else:
            self._begin(found, visit)

    def _found(self, content: Content, visit: Visit) -> None:
        visit.wanted = None
        if self._visits.at(visit.client) is visit:
            self._begin(content, visit)
        else:
            content.body.close()

    def _missing(self, failure: Failure, visit: Visit) -> None:
        visit.wanted = None
        if isinstance(failure.value, Forbidden):
            self._forbidden(failure.value, visit)
            return
        self._visits.remove(visit)
        if failure.check(CancelledError):
            return  # the client or the server went on
        if failure.check(ContentError):
            reason = failure.getErrorMessage()
        elif failure.check(TimeoutError):
            reason = "the file's source does not answer"
        else:
            self.log.failure("cannot serve {name}", failure, name=printable(visit.request.name))
            reason = "internal error"
        if failure.check(NotFound):
            visit.tell_missing(reason)
        else:
            visit.tell_unavailable(reason)
        code = next((code for kind, code in _TROUBLE.items() if failure.check(kind)), ErrorCode.UNDEFINED)
        self._refuse(visit.client, visit.destination, code, reason)

    def _forbidden(self, error: Forbidden, visit: Visit) -> None:
        """A refusal that is seen: as the error's text, or as what iPXE shows."""
        visit.tell_refused(str(error), error.setting)
        if visit.machine is not None and visit.machine.firmware is Firmware.IPXE:
            self._begin(from_bytes("a refusal", script(str(error))), visit)
        else:
            self._visits.remove(visit)
            self._refuse(visit.client, visit.destination, ErrorCode.ACCESS_VIOLATION, str(error))

    # transfers

    def _begin(self, content: Content, visit: Visit) -> None:
        request = visit.request
        if request.mode == "netascii":
            content = evolve(content, body=NetasciiBody(content.body), size=None)
        agreement = negotiate(request.options, self._ceilings_for(visit), content.size)
        try:
            port, sender = self._way(visit)
        except OSError as error:
            content.body.close()
            self._no_way(visit, error)
            return
        transfer = Transfer(agreement, None, self._clock(), timeout=self._config.timeout, retries=self._config.retries)
        session = Session(transfer, agreement, content, self._runs, sender, port, self._hub, self)
        visit.session = session
        visit.tell_begun(content.source, content.size, agreement)
        session.pump(self._clock())
        self._sweep.start()

    def _take(self, visit: Visit) -> None:
        """Take a file from the client."""
        request, uploads = visit.request, self._uploads
        if uploads is None:
            return  # such requests were refused before
        asked = request.options.get("tsize")
        try:
            upload = uploads.open(request.name, asked)
        except Refusal as refusal:
            self._visits.remove(visit)
            visit.tell_refused(str(refusal))
            self._refuse(visit.client, visit.destination, refusal.code, str(refusal))
            return
        size = packet.number(asked, 0, uploads.limit) if asked is not None else None
        agreement = negotiate(request.options, self._ceilings_for(visit), size)
        try:
            port, sender = self._way(visit)
        except OSError as error:
            upload.drop()
            self._no_way(visit, error)
            return
        netascii = request.mode == "netascii"
        session = UploadSession(agreement, upload, netascii, sender, port, self._hub, self, self._config.timeout)
        visit.session = session
        visit.tell_begun(str(upload.path), size, agreement)
        session.pump(self._clock())
        self._sweep.start()

    def _ceilings_for(self, visit: Visit) -> Ceilings:
        firmware = visit.machine.firmware if visit.machine is not None else Firmware.UNKNOWN
        if firmware in FIRMWARE and "msftwindow" not in visit.request.options:
            mtu = self._link(visit.interface).mtu
            narrowed = self._narrowed.get(mtu)
            if narrowed is None:
                narrowed = self._narrowed[mtu] = self._ceilings.below(mtu)
            return narrowed
        return self._ceilings

    def _way(self, visit: Visit) -> tuple[Port | None, Sender]:
        """A port for a transfer (None where it shares the server's), and what sends through it."""
        mtu = self._link(visit.interface).mtu
        if self._config.single_port and self._main is not None:
            return None, Sender(self._main, visit.client, self._offload, mtu, visit.destination)
        own = _text(visit.destination) if visit.destination else self._own
        port = self._ports.take(own, visit.client)
        return port, Sender(port.socket, visit.client, self._offload, mtu, connected=True)

    def _no_way(self, visit: Visit, error: OSError) -> None:
        self._visits.remove(visit)
        if self._exhausted.admits(error.errno):
            advice = "; raise the limit of open files" if error.errno in (errno.EMFILE, errno.ENFILE) else ""
            self.log.error("no socket for a transfer: {reason}{advice}", reason=error.strerror, advice=advice)
        self._refuse(visit.client, visit.destination, ErrorCode.UNDEFINED, "the server is at its limit; try again")

    def _link(self, interface: int) -> Link:
        found = self._links.get(interface)
        if found is None:
            found = self._links[interface] = link(interface)
        return found

    def answered(self, session: Session) -> bool:
        """A client has shown that it is there: from now on another process may serve it."""
        visit = self._visits.at(session.client)
        if self.lender is None or visit is None or visit.session is not session:
            return False
        mtu = self._link(visit.interface).mtu
        lent = self.lender.lend(session, mtu, self._config.timeout, self._config.retries, self)
        if lent is None:
            return False
        visit.session = lent
        session.leave()
        return True

    def ended(self, session: Session | UploadSession | Lent, failure: str) -> None:
        """A session is over."""
        visit = self._visits.at(session.client)
        if visit is not None and visit.session is session:
            self._visits.remove(visit)
            visit.tell_ended(failure, self._clock())

    def stop(self) -> None:
        """End every transfer."""
        for visit in self._visits:
            visit.close("the server stops")
        self._ports.close()
        self._sweep.stop()
        self._hub.close()

    def _tell_progress(self, now: float) -> None:
        for visit in self._visits:
            visit.tell_progress(now)
