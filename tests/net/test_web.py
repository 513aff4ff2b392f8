"""Small exchanges with web servers, over connections in memory."""

from __future__ import annotations

from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web._newclient import Request
from twisted.web.client import ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from pybootd.errors import WebFailed
from pybootd.net.web import LONGEST, Answer, Web, _Body, _Connections

TIMEOUT = 5.0
URL = "http://example.org/path?query=1"


class Server(Resource):
    """A server that the test plays; it keeps what it was asked."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Any] = []
        self.bodies: list[bytes] = []
        self.gone: list[Failure] = []

    def render(self, request: Any) -> int:
        self.requests.append(request)
        self.bodies.append(request.content.read())
        request.notifyFinish().addErrback(self.gone.append)
        return NOT_DONE_YET


@implementer(IAgent)
class Broken:
    """An agent whose requests fail."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def request(self, *_: Any) -> Any:
        return fail(self.error)


class WebTests(SynchronousTestCase):
    """Requests and answers."""

    def setUp(self) -> None:
        self.clock, self.server = Clock(), Server()
        self.agent = RequestTraversalAgent(self.server)
        self.web = Web(self.clock, TIMEOUT, self.agent)

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def asked(self) -> tuple[Deferred[Answer], Any]:
        answer = self.web.get(URL)
        self.agent.flush()
        return answer, self.server.requests[-1]

    def send(self, request: Any, data: bytes) -> None:
        request.write(data)
        self.agent.flush()

    def reason(self, answer: Deferred[Answer]) -> str:
        return str(self.failureResultOf(answer, WebFailed).value)

    def test_get(self) -> None:
        """Status and body."""
        answer, request = self.asked()
        self.assertEqual((request.method, request.uri), (b"GET", b"/path?query=1"))
        self.assertEqual(request.getHeader("user-agent"), "pybootd")
        request.setResponseCode(401)
        request.write(b"no")
        request.finish()
        self.agent.flush()
        self.assertEqual(self.successResultOf(answer), Answer(401, b"no"))

    def test_post(self) -> None:
        """A body, and what it is."""
        answer = self.web.post(URL, b"{}", "application/json")
        self.agent.flush()
        [request] = self.server.requests
        self.assertEqual((request.method, self.server.bodies), (b"POST", [b"{}"]))
        self.assertEqual(request.getHeader("content-type"), "application/json")
        request.finish()
        self.agent.flush()
        self.assertEqual(self.successResultOf(answer), Answer(200, b""))

    def test_redirect(self) -> None:
        """A redirect is an answer like any other: nobody is asked in its place."""
        answer, request = self.asked()
        request.redirect(b"http://example.net/")
        request.finish()
        self.agent.flush()
        self.assertEqual(self.successResultOf(answer).status, 302)
        self.assertEqual(len(self.server.requests), 1)

    def test_silent(self) -> None:
        """A server that says nothing is left when the time is over."""
        answer, _ = self.asked()
        self.clock.advance(TIMEOUT - 0.1)
        self.assertNoResult(answer)
        self.clock.advance(0.1)
        self.assertEqual(self.reason(answer), "no answer within 5 s")
        self.agent.flush()
        self.assertEqual(len(self.server.gone), 1)

    def test_dripping(self) -> None:
        """A body that drips holds no deadline up; its connection is left."""
        answer, request = self.asked()
        for _ in range(4):
            self.send(request, b"x")
            self.clock.advance(1)
        self.clock.advance(1)
        self.assertEqual(self.reason(answer), "no answer within 5 s")
        self.agent.flush()
        self.assertEqual(len(self.server.gone), 1)

    def test_endless(self) -> None:
        """A body that is too long is not read to its end."""
        answer, request = self.asked()
        self.send(request, b"x" * LONGEST)
        self.assertNoResult(answer)
        self.send(request, b"x")
        self.assertIn("more than 65536 bytes", self.reason(answer))
        self.agent.flush()
        self.assertEqual(len(self.server.gone), 1)

    def test_broken(self) -> None:
        """A connection that breaks off in the body is no answer."""
        answer, request = self.asked()
        request.setHeader("content-length", "10")
        self.send(request, b"x")
        request.transport.loseConnection()
        self.agent.flush()
        self.assertTrue(self.reason(answer))

    def test_reasons(self) -> None:
        """Of a failure the innermost reason is told, on one line."""
        for error in (
            ConnectionRefusedError("connection refused"),
            ResponseFailed([Failure(ConnectionResetError("connection refused"))]),
        ):
            answer = Web(self.clock, TIMEOUT, Broken(error)).get(URL)
            self.assertIn("connection refused", self.reason(answer))


class Endpoint:
    """Connects to nothing; the test says what arrives."""

    def connect(self, factory: Any) -> Deferred[Any]:
        connection = factory.buildProtocol(None)
        connection.makeConnection(StringTransport())
        return succeed(connection)


class ConnectionTests(SynchronousTestCase):
    """An answer without a length ends with its connection, and it matters how."""

    def answered(self, *pieces: bytes, end: Exception) -> Deferred[bytes]:
        """The body of an answer whose connection ends like this."""
        body = _Body()
        connection = self.successResultOf(_Connections(Clock(), body).getConnection(("http", "x", 80), Endpoint()))
        response = connection.request(Request(b"GET", b"/", Headers({b"host": [b"x"]}), None))
        connection.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n")
        self.successResultOf(response).deliverBody(body)
        for piece in pieces:
            connection.dataReceived(piece)
        if connection.transport.disconnected:
            end = ConnectionAborted()
        connection.connectionLost(Failure(end))
        return body.whole

    def test_closed(self) -> None:
        """Closed in order: it is whole."""
        body = self.answered(b"client: ", b"x", end=ConnectionDone())
        self.assertEqual(self.successResultOf(body), b"client: x")

    def test_reset(self) -> None:
        """Broken off: it is none."""
        self.failureResultOf(self.answered(b"client: ", end=ConnectionLost()), ConnectionLost)

    def test_too_much_at_once(self) -> None:
        """However an endless body is cut into pieces, it is no answer."""
        for sizes in ((LONGEST, LONGEST), (LONGEST, LONGEST, LONGEST), (LONGEST, 3 * LONGEST), (4 * LONGEST,)):
            body = self.answered(*(bytes(size) for size in sizes), end=ConnectionDone())
            self.failureResultOf(body, WebFailed, ConnectionAborted)
