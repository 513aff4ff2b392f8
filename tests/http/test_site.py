"""Connections: how many, how long, how large."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.config import LimitsConfig
from pybootd.content.local import LocalFiles
from pybootd.content.resolver import Resolver
from pybootd.http.site import LINGER
from tests.support.http import Client, Server
from tests.support.tree import Tree

DEADLINE = LimitsConfig().header_time
REQUEST = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n"


class SiteCase(SynchronousTestCase):
    """A server for one file."""

    def setUp(self) -> None:
        tree = Tree(self.mktemp())
        tree.write("small", b"0123456789")
        self.resolver = Resolver("./root", tree.top, LocalFiles())
        self.start()

    def start(self, **options: Any) -> None:
        self.server = Server(self.resolver, **options)
        server = self.server
        self.addCleanup(lambda: self.assertEqual(server.reactor.getDelayedCalls(), []))
        self.addCleanup(server.close)

    def gone(self, client: Client) -> bool:
        return client.transport.ours.fileno() < 0


class DeadlineTests(SiteCase):
    """No connection lasts for ever."""

    def test_silent(self) -> None:
        """A client that says nothing is left."""
        client = self.server.connect()
        self.server.reactor.advance(DEADLINE - 1)
        self.assertFalse(self.gone(client))
        self.server.reactor.advance(1)
        client.transport.flush()
        self.assertTrue(self.gone(client))

    def test_dripping_header(self) -> None:
        """A header has one deadline, however it drips."""
        client = self.server.connect()
        self.server.reactor.advance(DEADLINE - 1)
        for byte in REQUEST[:-10]:
            if self.gone(client):
                break
            client.send(bytes([byte]))
            self.server.reactor.advance(2)
        self.assertTrue(client.transport.aborted)

    def test_header_time(self) -> None:
        """How long it may take is a matter of [limits]."""
        self.start(header_time=5)
        client = self.server.connect()
        client.send(REQUEST[:10])
        self.server.reactor.advance(4)
        self.assertFalse(self.gone(client))
        self.server.reactor.advance(1)
        self.assertTrue(client.transport.aborted)

    def test_second_header(self) -> None:
        """So has the second on a connection, from its own first byte."""
        client = self.server.connect()
        self.server.reactor.advance(DEADLINE - 1)
        self.assertEqual(client.get("/small").status, 200)
        self.server.reactor.advance(DEADLINE - 1)
        client.send(REQUEST[:5])
        self.server.reactor.advance(DEADLINE - 1)
        client.send(REQUEST[5:])
        self.assertEqual(client.reply().status, 200)
        client.send(REQUEST[:5])
        self.server.reactor.advance(DEADLINE)
        self.assertTrue(client.transport.aborted)

    def test_kept_alive(self) -> None:
        """A connection that is not used again is closed, after what is still to be sent."""
        client = self.server.connect()
        client.send(REQUEST)
        self.server.reactor.advance(DEADLINE)
        self.assertEqual(client.reply().body, b"0123456789")
        client.transport.flush()
        self.assertTrue(self.gone(client))
        self.assertFalse(client.transport.aborted)

    def test_never_taken(self) -> None:
        """What nobody takes does not keep it for ever."""
        client = self.server.connect()
        client.send(REQUEST)
        self.server.reactor.advance(DEADLINE)
        self.assertFalse(self.gone(client))
        self.server.reactor.advance(LINGER)
        self.assertTrue(client.transport.aborted)


class SizeTests(SiteCase):
    """Requests are small."""

    def answer(self, data: bytes) -> bytes:
        client = self.server.connect()
        for begin in range(0, len(data), 4096):
            if not client.transport.disconnecting:
                client.send(data[begin : begin + 4096])
        return client.receive()

    def test_header(self) -> None:
        """A header without end is refused."""
        for data in (
            b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"A: " + b"x" * 100_000 + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
            b"GET / HTTP/1.1\r\n" + b"A:\r\n " * 20_000 + b"\r\n",
        ):
            answer = self.answer(data)
            self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 400 "), answer[:60])

    def test_header_size(self) -> None:
        """How long a header may be is a matter of [limits]."""
        head = b"GET /small HTTP/1.1\r\nHost: x\r\nA: "
        for size, status in ((3000, b"400"), (1500, b"200")):
            self.start(header_size=2048)
            answer = self.answer(head + b"x" * size + b"\r\n\r\n")
            self.assertTrue(answer.startswith(b"HTTP/1.1 " + status), (size, answer[:60]))
        self.start(header_size=60_000)
        answer = self.answer(head + b"x" * 50_000 + b"\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200"), answer[:60])

    def test_body(self) -> None:
        """A body is refused before it is read."""
        for head, status in (
            (b"GET /small HTTP/1.1\r\nContent-Length: 5", b"413"),
            (b"HEAD /small HTTP/1.1\r\nContent-Length: 99999999999", b"413"),
            (b"GET /small HTTP/1.1\r\nTransfer-Encoding: chunked", b"413"),
            (b"POST /small HTTP/1.1\r\nContent-Length: 5", b"405"),
            (b"PUT /small HTTP/1.1\r\nTransfer-Encoding: chunked", b"405"),
        ):
            client = self.server.connect()
            client.send(head + b"\r\n\r\n")
            data = client.receive()
            self.assertTrue(data.startswith(b"HTTP/1.1 " + status), (head, data))
            self.assertTrue(self.gone(client), head)
        self.assertEqual(self.server.events, [])

    def test_not_http(self) -> None:
        """What is no HTTP is refused, and nothing is logged as an error."""
        for data in (
            b"\r\n\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET /small\r\n\r\n",
            b"GET /small HTTP/9\r\n\r\n",
            b"GET /small HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET /small HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"GET /small HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"GET /small HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET /small HTTP/1.1\r\nA: b\x00\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
            bytes(range(256)) * 10 + b"\r\n\r\n",
        ):
            answer = self.answer(data)
            self.assertFalse(answer.startswith(b"HTTP/1.1 200"), data)
            self.assertFalse(answer.startswith(b"HTTP/1.1 5"), data)


PIECES = (
    *(
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"GET /small",
        b" /",
        b"/small",
        b"/..",
        b"%2f",
        b"%00",
        b"http://x",
        b"?",
        b"#",
        b"\\",
    ),
    *(b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\n", b"\r\n\r\n", b"\r\n ", b":", b" ", b"\0", b"\xff"),
    *(b"\r\nHost: x", b"\r\nContent-Length: ", b"\r\nTransfer-Encoding: chunked", b"\r\nConnection: close"),
    *(b"\r\nRange: bytes=", b"\r\nIf-Range: ", b"\r\nIf-None-Match: ", b"\r\nIf-Modified-Since: "),
    *(b"0", b"9", b"-", b",", b'"', b"*", b"W/", b"Thu, 01 Jan 1970 00:01:40 GMT", b"\r\nExpect: 100-continue"),
)


class HostileTests(SiteCase):
    """No bytes at all make the server fail."""

    def talk(self, pieces: list[bytes]) -> None:
        client = self.server.connect()
        for piece in pieces:
            if not client.transport.disconnecting and not self.gone(client):
                client.send(piece)
        answer = client.receive()
        client.close()
        self.assertNotIn(b"HTTP/1.1 5", answer)
        self.assertNotIn(b"HTTP/1.0 5", answer)
        self.assertEqual(self.flushLoggedErrors(), [])

    @given(st.lists(st.sampled_from(PIECES), max_size=25))
    def test_pieces(self, pieces: list[bytes]) -> None:
        """Parts of requests in any order."""
        self.talk([b"".join(pieces)])
        self.talk(pieces)

    @given(st.lists(st.binary(max_size=200), max_size=5))
    def test_bytes(self, pieces: list[bytes]) -> None:
        """Anything."""
        self.talk(pieces)

    @given(st.binary(max_size=60))
    def test_targets(self, target: bytes) -> None:
        """Any name, and any name on a connection that goes on."""
        self.talk([b"GET /" + target + b" HTTP/1.1\r\n\r\n", REQUEST])


class CeilingTests(SiteCase):
    """Connections are bounded, in all and for each client."""

    def test_oldest_waiting_goes(self) -> None:
        """At the ceiling the one goes that has waited longest, so that a flood of silence locks nobody out."""
        self.start(connections=3)
        first, second, third = (self.server.connect(f"192.0.2.{number}") for number in range(3))
        self.assertEqual(first.get("/small").status, 200)
        fourth = self.server.connect("192.0.2.4")
        self.assertEqual([self.gone(client) for client in (first, second, third)], [False, True, False])
        self.assertEqual(fourth.get("/small").status, 200)

    def test_served_stay(self) -> None:
        """Who is being served stays; if all are, the new one is turned away."""
        self.start(connections=2)
        clients = [self.server.connect(f"192.0.2.{number}") for number in range(2)]
        for client in clients:
            self.server.site.busy(client.channel)
        self.assertFalse(self.server.site.make_room("192.0.2.9"))
        self.server.site.waiting(clients[0].channel)
        self.assertTrue(self.server.site.make_room("192.0.2.9"))
        self.assertEqual([self.gone(client) for client in clients], [True, False])

    def test_known(self) -> None:
        """The last quarter is for machines that got their address here."""
        self.start(connections=4)
        self.server.machines.settle(self.server.machines.see("52:54:00:00:00:01", 0.0), IPv4Address("192.0.2.9"))
        clients = [self.server.connect(f"192.0.2.{number}") for number in range(3)]
        for client in clients:
            self.server.site.busy(client.channel)
        self.assertFalse(self.server.site.make_room("192.0.2.8"))
        self.assertFalse(self.server.site.make_room("2001:db8::1"))
        self.assertTrue(self.server.site.make_room("192.0.2.9"))

    def test_per_client(self) -> None:
        """One client has its own ceiling, and pays for it with its own connections."""
        self.start(connections=10, connections_per_client=2)
        other = self.server.connect("192.0.2.9")
        first, second, third = (self.server.connect("192.0.2.1") for _ in range(3))
        self.assertEqual([self.gone(each) for each in (other, first, second, third)], [False, True, False, False])
        for client in (second, third):
            self.server.site.busy(client.channel)
        self.assertFalse(self.server.site.make_room("192.0.2.1"))
        second.close()
        self.assertTrue(self.server.site.make_room("192.0.2.1"))

    def test_waiting(self) -> None:
        """Those that wait for a request have a ceiling of their own, far below that of those that are served."""
        self.start(waiting_connections=2)
        clients = [self.server.connect(f"192.0.2.{number}") for number in range(4)]
        self.assertEqual([self.gone(client) for client in clients], [True, True, False, False])
        for client in clients[2:]:
            self.server.site.busy(client.channel)
        clients = [self.server.connect(f"192.0.2.{number}") for number in range(10, 12)]
        self.assertEqual(len(self.server.site._channels), 4)

    def test_counted_down(self) -> None:
        """Connections that ended do not count."""
        self.start(connections=2, connections_per_client=2)
        for _ in range(5):
            client = self.server.connect()
            client.get("/small")
            client.close()
        self.assertEqual((self.server.site._channels, self.server.site._clients), (set(), {}))

    def test_ipv6(self) -> None:
        """A client by IPv6 is served; one by IPv4 through an IPv6 socket is recognised."""
        self.assertEqual(self.server.connect("2001:db8::1").get("/small").status, 200)
        self.assertEqual(str(self.server.connect("::ffff:192.0.2.7").channel.address), "192.0.2.7")
