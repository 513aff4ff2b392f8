"""
The HTTP server as one factory: connections, their ceilings and deadlines.

What a connection may cost is bounded before a request is understood: how many there are,
in all and for each client, how long a header may take however it drips, how large it may
be.  At the ceiling a new connection takes the place of the oldest that is not being served.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from pybootd.config import LimitsConfig
from pybootd.content.local import InThread
from pybootd.content.resolver import Resolver
from pybootd.events import Bus
from pybootd.http.connection import Served
from pybootd.http.files import STALL, FileRequest
from pybootd.http.header import plain
from pybootd.http.outbox import Outbox
from pybootd.http.sendfile import Lender
from pybootd.machine import Machine, Machines

_MORE = getattr(socket, "MSG_MORE", 0)

LINGER = 15.0
"""Seconds for what is still in the buffer of a connection that is to be closed."""

Admission = Callable[[IPv4Address | None], str | None]
"""Takes a client's address; says why it is not served, or None where it is."""


@lru_cache(1024)
def _ipv4(host: str) -> IPv4Address | None:
    """A client's address, if it is one of IPv4."""
    try:
        return IPv4Address(host.removeprefix("::ffff:"))
    except ValueError:
        return None


class Channel(HTTPChannel):
    """
    One connection.

    @ivar host: the client's address.
    @ivar address: the same, if it is one of IPv4.
    @ivar clear: whether nothing that was written waits in the transport, for certain.
    """

    transport: Any
    factory: Site
    requestFactory = FileRequest  # type: ignore[assignment]
    timeOut: Any
    maxHeaders = 100

    def __init__(self, site: Site, host: str) -> None:
        super().__init__()
        self.factory = self.site = site
        self.host = host
        self.address = _ipv4(host)

    def connectionMade(self) -> None:
        """In place of Twisted's, which asks for interfaces; that packets do not wait was said to the port."""
        transport = self.transport
        self._served = transport if isinstance(transport, Served) else None
        self.secure = self._served is None and self.isSecure()
        self.clear = not self.secure
        self._socket: Any = None if self.secure else transport.getHandle()
        self._header_begun = False
        self._closing = False
        self._timer: IDelayedCall | None = None
        limits = self.site.limits
        self.totalHeadersSize = limits.header_size
        self.MAX_LENGTH = max(self.MAX_LENGTH, self.totalHeadersSize)
        self.site.opened(self)
        self._networkProducer = transport
        transport.registerProducer(self, True)
        # only a number so far: what has come with the connection may be all, and needs no timer
        self.timeOut = limits.header_time
        self._deadline: float | None = self.site.reactor.seconds() + self.timeOut
        if self._served is not None:
            self._served.begin()
        self._arm()

    def dataReceived(self, data: bytes) -> None:
        between = self.line_mode and not (self.requests or self._buffer or self._header_begun or self._busyReceiving)
        header = plain(data, self.maxHeaders) if between and len(data) <= self.totalHeadersSize else None
        if header is None:
            super().dataReceived(data)
            return
        request = FileRequest(self, fields=header.fields)
        self.requests.append(request)
        self.persistent = self.checkPersistence(request, header.version)
        self._command, self._path, self._version = header.method, header.target, header.version
        self.allContentReceived()

    @property
    def machine(self) -> Machine | None:
        """The machine that has this address now."""
        return None if self.address is None else self.site.machines.at(self.address)

    def setTimeout(self, period: float | None) -> float | None:
        """
        Have L{timeoutConnection} called in so many seconds, or not at all.

        As in L{twisted.protocols.policies.TimeoutMixin}; but a request only moves a number, and the
        one timer of a connection looks at it when it fires.
        """
        previous, self.timeOut = self.timeOut, period
        if period is None:
            self._deadline = None
        else:
            self._deadline = self.site.reactor.seconds() + period
            self._arm()
        return previous  # type: ignore[no-any-return]

    def _arm(self) -> None:
        """Have the timer fire no later than at the deadline."""
        if self._deadline is not None:
            reactor = self.site.reactor
            if self._timer is None:
                self._timer = reactor.callLater(max(0, self._deadline - reactor.seconds()), self._look)
            elif self._timer.getTime() > self._deadline:
                self._timer.reset(max(0, self._deadline - reactor.seconds()))

    def _look(self) -> None:
        self._timer = None
        if self._deadline is not None:
            left = self._deadline - self.site.reactor.seconds()
            if left > 0:
                self._timer = self.site.reactor.callLater(left, self._look)
            else:
                self.timeoutConnection()

    def resetTimeout(self) -> None:
        """Bytes have come.  The first of a header starts its deadline; no other moves it."""
        if not (self._header_begun or self._handlingRequest):
            self._header_begun = True
            self.setTimeout(self.timeOut)

    def allHeadersReceived(self) -> None:
        request = self.requests[-1]
        request.fields = {name.lower(): values[-1] for name, values in request.requestHeaders.getAllRawHeaders()}
        super().allHeadersReceived()
        if self.length != 0:
            self._refuse_body()

    def checkPersistence(self, request: FileRequest, version: bytes) -> bool:
        """Whether there may be another request (RFC 9112 9.3)."""
        option = request.fields.get(b"connection")
        if version != b"HTTP/1.1" or option is None:
            return version == b"HTTP/1.1"
        return b"close" not in option.lower().replace(b",", b" ").split()

    def allContentReceived(self) -> None:
        self._header_begun = False
        self.site.busy(self)
        super().allContentReceived()

    def send(self, data: bytes, *, more: bool = False) -> None:
        """
        Write at once what the socket takes, and leave the rest to the transport.

        Twisted's transport writes at the reactor's next turn, for which it must be told of the socket and
        forget it again; an answer that the socket takes whole, as nearly all are, needs none of that.

        @param more: there is more to come, which may share its packets.
        """
        if self.clear:
            try:
                if self._served is not None and not (more or self.persistent):
                    self._served.cork()
                sent = self._socket.send(data, _MORE if more else 0)
            except OSError:  # it is full, or broken, which the transport finds out
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        self.write(data)

    def write(self, data: bytes) -> None:
        """Leave it to the transport."""
        self.clear = False
        super().write(data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.clear = False
        super().writeSequence(iovec)

    def _send100Continue(self) -> None:
        """No body is waited for: the answer itself comes at once (RFC 9110 10.1.1)."""

    def requestDone(self, request: FileRequest) -> None:
        if self.persistent or not self.clear or self._served is None:
            self.site.waiting(self)
            super().requestDone(request)
        else:
            del self.requests[0]
            self._served.finish()

    def pauseProducing(self) -> None:
        """The transport has more of an answer than the client takes."""
        if self._handlingRequest:
            self.setTimeout(STALL)
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """The client has taken it.  What the answer still waits for is not its fault."""
        self.clear = not self.secure
        if self._handlingRequest:
            self.setTimeout(None)
        super().resumeProducing()

    def timeoutConnection(self) -> None:
        """Close it: at once where a header dripped or an answer is not taken, else after what is left to be sent."""
        if self._handlingRequest:
            self.requests[0].stalled()
        elif self._header_begun or self._closing:
            self.transport.abortConnection()
        else:
            self._closing = True
            self.setTimeout(LINGER)
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.site.closed(self)
        super().connectionLost(reason)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse_body(self) -> None:
        """Nothing here wants a body, and none is read: the answer comes before it, and the end after."""
        status = b"413 Content Too Large" if self._command in (b"GET", b"HEAD") else b"405 Method Not Allowed"
        self.transport.write(
            b"HTTP/1.1 %s\r\nServer: pybootd\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            % status
        )
        self.loseConnection()


class Site(ServerFactory):
    """
    Serves what a resolver finds.

    @ivar admit: asked before each request.
    @ivar in_thread: where bytes that are not in memory are waited for.
    @ivar outbox: sends what is left to the end of a turn.
    @ivar lender: knows other processes that may send large files; None: there are none.
    """

    noisy = False

    def __init__(
        self,
        resolver: Resolver,
        machines: Machines,
        bus: Bus,
        admit: Admission,
        reactor: Any,
        *,
        in_thread: InThread | None = None,
        limits: LimitsConfig | None = None,
        time: Callable[[], float] | None = None,
    ) -> None:
        """@param time: seconds since the epoch, for what people and clients are told; the reactor's if not given."""
        self.time = time or reactor.seconds
        self.resolver = resolver
        self.machines = machines
        self.bus = bus
        self.admit = admit
        self.reactor = reactor
        self.in_thread = in_thread
        self.limits = limits or LimitsConfig()
        self.lender: Lender | None = None
        self.outbox = Outbox(reactor, in_thread)
        self._channels: set[Channel] = set()
        self._clients: Counter[str] = Counter()
        self._waiting: dict[Channel, None] = {}

    def buildProtocol(self, addr: Any) -> Channel | None:  # type: ignore[override]
        if not self.make_room(addr.host):
            return None
        return Channel(self, addr.host)

    def make_room(self, host: str) -> bool:
        """
        Whether one more connection from C{host} can be taken.

        At a ceiling the connection goes that has waited longest for a request, or for the
        rest of one; where all are being served, the new one.  The last quarter is for
        machines that were given their address here.
        """
        limits = self.limits
        most = limits.connections if self._knows(host) else limits.connections - limits.connections // 4
        if self._clients.get(host, 0) >= limits.connections_per_client:
            return self._drop(next((channel for channel in self._waiting if channel.host == host), None))
        if len(self._channels) < most and len(self._waiting) < limits.waiting_connections:
            return True
        return self._drop(next(iter(self._waiting), None))

    def _knows(self, host: str) -> bool:
        """Whether a machine was given this address here; where none ever was, everybody is as good."""
        if not self.machines:
            return True
        address = _ipv4(host)
        return address is not None and self.machines.at(address) is not None

    # What channels tell

    def opened(self, channel: Channel) -> None:
        """A connection is there, and waits for its first request."""
        self._channels.add(channel)
        self._clients[channel.host] += 1
        self._waiting[channel] = None

    def busy(self, channel: Channel) -> None:
        """A request is being answered."""
        self._waiting.pop(channel, None)

    def waiting(self, channel: Channel) -> None:
        """The answer is complete."""
        if channel in self._channels:
            self._waiting[channel] = None

    def closed(self, channel: Channel) -> None:
        """The connection is gone, or as good as gone."""
        if channel in self._channels:
            self._channels.remove(channel)
            self._waiting.pop(channel, None)
            self._clients[channel.host] -= 1
            if not self._clients[channel.host]:
                del self._clients[channel.host]

    def _drop(self, channel: Channel | None) -> bool:
        if channel is None:
            return False
        self.closed(channel)
        channel.transport.abortConnection()
        return True
