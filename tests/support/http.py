"""An HTTP server and its clients in one process: no network, a clock that the test moves."""

from __future__ import annotations

import contextlib
import socket
from ipaddress import IPv4Address
from typing import Any

from attrs import frozen
from twisted.internet.address import IPv4Address as Peer
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from pybootd.config import LimitsConfig
from pybootd.content.local import InThread
from pybootd.content.resolver import Resolver
from pybootd.events import Bus, record
from pybootd.http.site import Channel, Site
from pybootd.machine import Machines

CLIENT = IPv4Address("192.0.2.7")


class Reactor(Clock):
    """A clock, and descriptors that want to write."""

    def __init__(self) -> None:
        super().__init__()
        self.advance(1_700_000_000.5)
        self.writers: list[Any] = []

    def addWriter(self, writer: Any) -> None:
        if writer not in self.writers:
            self.writers.append(writer)

    def removeWriter(self, writer: Any) -> None:
        if writer in self.writers:
            self.writers.remove(writer)

    def turn(self) -> None:
        """What is due is done, and everybody who wants to writes once."""
        self.advance(0)
        for writer in tuple(self.writers):
            writer.doWrite()


class Transport(StringTransport):
    """
    A TCP transport whose other end is a socket.

    As in Twisted, what is written waits in a buffer until the reactor's turn, and
    producers are paused and resumed by it.
    """

    def __init__(self, host: str) -> None:
        super().__init__(peerAddress=Peer("TCP", host, 50000))
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.theirs.setblocking(False)
        self.aborted = False
        self.protocol: Any = None
        self._buffer = b""
        self._paused = False

    def getHandle(self) -> socket.socket:
        return self.ours

    def write(self, data: bytes) -> None:
        self._buffer += data
        if self.producer is not None and self.streaming and len(self._buffer) > 65536 and not self._paused:
            self._paused = True
            self.producer.pauseProducing()

    def writeSequence(self, iovec: Any) -> None:
        self.write(b"".join(iovec))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        super().registerProducer(producer, streaming)
        self._paused = False
        if not streaming:
            producer.resumeProducing()

    def flush(self) -> None:
        """The reactor's turn: what the socket takes leaves."""
        if self.ours.fileno() < 0:
            return
        if self._buffer:
            with contextlib.suppress(BlockingIOError):
                self._buffer = self._buffer[self.ours.send(self._buffer) :]
        if self._buffer:
            return
        if self.producer is not None and (self._paused or not self.streaming):
            self._paused = False
            self.producer.resumeProducing()
        elif self.disconnecting:
            self.lose()

    def abortConnection(self) -> None:
        self.aborted = True
        self.lose()

    def lose(self) -> None:
        """The connection is gone."""
        if self.ours.fileno() >= 0:
            producer, self.producer = self.producer, None
            if producer is not None:
                producer.stopProducing()
            self.ours.close()
            self.protocol.connectionLost(Failure(ConnectionDone()))


@frozen
class Reply:
    """A response as a client sees it."""

    status: int
    fields: dict[str, str]
    body: bytes


class Client:
    """One connection to a site."""

    def __init__(self, server: Server, host: str = str(CLIENT)) -> None:
        self._server = server
        self.transport = Transport(host)
        channel = server.site.buildProtocol(self.transport.getPeer())
        assert channel is not None
        self.channel: Channel = channel
        self.transport.protocol = channel
        channel.makeConnection(self.transport)
        self._received = b""

    def send(self, data: bytes) -> None:
        """Bytes arrive at the server."""
        self.channel.dataReceived(data)

    def receive(self) -> bytes:
        """All that the server has sent, and sends as long as somebody takes it."""
        idle = 0
        while idle < 3:
            self.transport.flush()
            self._server.reactor.turn()
            try:
                piece = self.transport.theirs.recv(1 << 20)
            except BlockingIOError:
                piece = b""
            self._received += piece
            idle = 0 if piece else idle + 1
        data, self._received = self._received, b""
        return data

    def get(self, target: str, method: str = "GET", version: str = "1.1", **fields: str) -> Reply:
        """One request, and its answer."""
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in {"Host": "x", **fields}.items())
        self.send(f"{method} {target} HTTP/{version}\r\n{head}\r\n".encode("latin-1"))
        return self.reply(method)

    def reply(self, method: str = "GET") -> Reply:
        """The next answer; what comes after it stays."""
        head, _, rest = self.receive().partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        code = int(status.split()[1])
        length = 0 if method == "HEAD" or code == 304 else int(fields.get("Content-Length", len(rest)))
        self._received = rest[length:]
        return Reply(code, fields, rest[:length])

    def close(self) -> None:
        """The client goes away."""
        self.transport.lose()
        self.transport.theirs.close()


class Server:
    """A site with all that it needs."""

    def __init__(self, resolver: Resolver, in_thread: InThread | None = None, **limits: Any) -> None:
        self.reactor = Reactor()
        self.machines = Machines()
        self.bus = Bus()
        self.events = record(self.bus)
        self.refusal: str | None = None
        self.site = Site(
            resolver,
            self.machines,
            self.bus,
            lambda address: self.refusal,
            self.reactor,
            in_thread=in_thread,
            limits=LimitsConfig(**limits),
        )
        self.clients: list[Client] = []

    def connect(self, host: str = str(CLIENT)) -> Client:
        """A client connects."""
        self.clients.append(Client(self, host))
        return self.clients[-1]

    def close(self) -> None:
        """All clients go away; no timer may be left then, but for what is due."""
        for client in self.clients:
            with contextlib.suppress(OSError):
                client.close()
        self.reactor.turn()
