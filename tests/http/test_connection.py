"""Connections that begin and end in one turn."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from twisted.internet.address import IPv4Address as Peer
from twisted.trial.unittest import SynchronousTestCase

from pybootd.config import LimitsConfig
from pybootd.content.local import LocalFiles
from pybootd.content.resolver import Resolver
from pybootd.http import connection
from pybootd.http.connection import TOGETHER, Served, served
from pybootd.http.site import Channel
from tests.support.http import CLIENT, Reactor, Server
from tests.support.tree import Tree

LAST = b"GET /small HTTP/1.0\r\n\r\n"
KEPT = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"GET /large HTTP/1.0\r\n\r\n"


class Watching(Reactor):
    """It also knows who wants to read."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []
        self.visits = 0

    def addReader(self, reader: Any) -> None:
        self.visits += 1
        if reader not in self.readers:
            self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)

    def addWriter(self, writer: Any) -> None:
        self.visits += 1
        super().addWriter(writer)

    def turn(self) -> None:
        """Everybody who wants to reads or writes once."""
        for one in (*self.readers, *self.writers):
            why = one.doRead() if one in self.readers else one.doWrite() if one in self.writers else None
            if why is not None:
                self.removeReader(one)
                self.removeWriter(one)
                one.readConnectionLost(connection.Failure(why))


class Port:
    """As much of a port as a connection asks for."""

    _realPortNumber = 80


class ServedTests(SynchronousTestCase):
    """A connection of the HTTP server."""

    def setUp(self) -> None:
        tree = Tree(self.mktemp())
        tree.write("small", b"0123456789")
        tree.write("large", b"x" * 3_000_000)
        self.server = Server(Resolver("./root", tree.top, LocalFiles()))
        self.reactor = self.server.site.reactor = Watching()
        self.addCleanup(lambda: self.assertEqual(self.reactor.getDelayedCalls(), []))

    def connect(self, data: bytes) -> socket.socket:
        """A client that sends this at once."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.addCleanup(theirs.close)
        theirs.sendall(data)
        channel = self.server.site.buildProtocol(Peer("TCP", str(CLIENT), 50000))
        assert isinstance(channel, Channel)
        transport: Any = Port()
        self.transport = Served(ours, channel, (str(CLIENT), 50000), transport, 0, self.reactor)  # type: ignore[arg-type]
        channel.makeConnection(self.transport)
        return theirs

    def received(self, theirs: socket.socket) -> bytes:
        """All that has come; what must not be lost with it is the end of the connection."""
        data = b""
        with contextlib.suppress(BlockingIOError):
            while piece := theirs.recv(1 << 20):
                data += piece
            self.ended = True
        return data

    def test_at_once(self) -> None:
        """What came with it is answered, and the connection ends, before the reactor has heard of it."""
        theirs = self.connect(LAST)
        self.assertTrue(self.received(theirs).endswith(b"\r\n\r\n0123456789"))
        self.assertTrue(self.ended)
        self.assertFalse(self.transport.connected)
        self.assertEqual(self.reactor.visits, 0)

    def test_later(self) -> None:
        """What comes later is waited for, and answered as well."""
        theirs = self.connect(b"")
        self.assertEqual(self.reactor.readers, [self.transport])
        for piece in (LAST[:9], LAST[9:]):
            theirs.sendall(piece)
            self.reactor.turn()
        self.assertTrue(self.received(theirs).endswith(b"0123456789"))
        self.assertTrue(self.ended)
        self.assertEqual(self.reactor.readers, [])

    def test_kept(self) -> None:
        """A connection that is kept serves on, and has its deadline."""
        theirs = self.connect(KEPT)
        for _ in range(3):
            self.assertTrue(self.received(theirs).endswith(b"0123456789"))
            theirs.sendall(KEPT)
            self.reactor.turn()
        self.reactor.advance(LimitsConfig().header_time)
        self.reactor.turn()
        self.received(theirs)
        self.assertTrue(self.ended)

    def test_silent(self) -> None:
        """So has one that says nothing."""
        theirs = self.connect(b"")
        self.reactor.advance(LimitsConfig().header_time)
        self.reactor.turn()
        self.assertEqual(self.received(theirs), b"")
        self.assertTrue(self.ended)

    def test_large(self) -> None:
        """An answer that the socket does not take whole leaves as it is taken; the connection ends after it."""
        theirs = self.connect(LARGE)
        data = self.received(theirs)
        while not self.transport.disconnected:
            self.reactor.turn()
            data += self.received(theirs)
        self.assertTrue(data.endswith(b"\r\n\r\n" + b"x" * 3_000_000))
        self.assertTrue(self.ended)

    def test_refused(self) -> None:
        """What is no request is told so, and that is not lost either."""
        for data, status in (
            (b"GET /small\r\n\r\n", b"400"),
            (b"PUT /small HTTP/1.1\r\nContent-Length: 3\r\n\r\n", b"405"),
        ):
            self.ended = False
            theirs = self.connect(data)
            self.reactor.turn()
            self.assertTrue(self.received(theirs).startswith(b"HTTP/1.1 " + status), data)
            self.assertTrue(self.ended)

    def test_more_than_asked(self) -> None:
        """After the last request nothing is answered."""
        theirs = self.connect(LAST + KEPT)
        self.assertEqual(self.received(theirs).count(b"HTTP/1."), 1)
        self.assertTrue(self.ended)

    def test_gone(self) -> None:
        """A client that has left already is forgotten."""
        ours, theirs = socket.socketpair()
        theirs.close()
        channel = self.server.site.buildProtocol(Peer("TCP", str(CLIENT), 50000))
        port: Any = Port()
        transport = Served(ours, channel, (str(CLIENT), 50000), port, 0, self.reactor)  # type: ignore[arg-type]
        assert channel is not None
        channel.makeConnection(transport)
        self.assertTrue(transport.disconnected)
        self.assertEqual(self.reactor.readers, [])

    def test_corked(self) -> None:
        """The last packet is kept back until it can say that it is the last one."""
        if connection._CORK is None:
            return
        corked: list[bool] = []
        self.patch(Served, "cork", lambda served: corked.append(served.disconnecting))
        self.received(self.connect(KEPT))
        self.assertEqual(corked, [])
        self.transport.abortConnection()
        self.reactor.advance(0)
        self.received(self.connect(LAST))
        self.assertEqual(corked, [False])

    def test_others(self) -> None:
        """However many come, a few of them have their turn, and then whoever else waits."""
        turns: list[int] = []

        class Accepting(Port):
            numberAccepts = 100
            transport: Any = None

            def doRead(self) -> None:
                turns.append(self.numberAccepts)
                self.numberAccepts += 20

        port = Accepting()
        served(port)
        for _ in range(3):
            port.doRead()
        self.assertEqual(turns, [TOGETHER] * 3)
        self.assertIs(port.transport, Served)

    def test_our_mistake(self) -> None:
        """A connection that cannot be begun is closed, and the log says why."""

        def fail(data: bytes) -> None:
            raise ZeroDivisionError

        self.patch(Channel, "dataReceived", lambda channel, data: fail(data))
        theirs = self.connect(LAST)
        self.received(theirs)
        self.assertTrue(self.ended)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
