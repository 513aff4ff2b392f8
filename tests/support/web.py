"""Remote web servers for tests, without a network: the test plays the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH

from pybootd.content.fetch import Fetcher, Hop


class Connection:
    """
    A connection to a server.

    @ivar paused: its body is held back.
    @ivar aborted: it was dropped.
    """

    def __init__(self, host: str = "203.0.113.5") -> None:
        self.host = host
        self.paused = False
        self.aborted = False

    def getPeer(self) -> Connection:
        return self

    def abortConnection(self) -> None:
        self.aborted = True

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False


class Response:
    """A response whose body the test sends."""

    def __init__(self, connection: Connection, code: int, length: int | None, fields: dict[str, str]) -> None:
        self.code = code
        self.length: Any = UNKNOWN_LENGTH if length is None else length
        self.headers = Headers({name: [value] for name, value in fields.items()})
        self.connection = connection
        self._protocol: Any = None
        self._early: list[Callable[[], None]] = []

    def deliverBody(self, protocol: Any) -> None:
        self._protocol = protocol
        protocol.makeConnection(self.connection)
        for early in self._early:
            early()

    def send(self, data: bytes) -> None:
        """Some of the body."""
        self._when_read(lambda: self._protocol.dataReceived(data))

    def finish(self) -> None:
        """The body is complete."""
        self._when_read(lambda: self._protocol.connectionLost(Failure(ResponseDone())))

    def end_by_closing(self) -> None:
        """The connection ends, and with it a body of unknown length."""
        self._when_read(lambda: self._protocol.connectionLost(Failure(PotentialDataLoss())))

    def break_off(self) -> None:
        """The connection ends in the middle."""
        self._when_read(lambda: self._protocol.connectionLost(Failure(ResponseFailed([]))))

    def _when_read(self, event: Callable[[], None]) -> None:
        if self._protocol is None:
            self._early.append(event)
        else:
            event()


@define(eq=False)
class Request:
    """A request that the server has got."""

    url: str
    fields: dict[str, str]
    answered: Deferred[Any]
    connection: Connection

    def answer(self, code: int = 200, body: bytes | None = None, length: int | None = None, **fields: str) -> Response:
        """
        Send a header; with C{body}, all of that too.

        @param fields: header fields, with C{_} for C{-}.
        """
        names = {name.replace("_", "-"): value for name, value in fields.items()}
        response = Response(self.connection, code, length if body is None else len(body), names)
        if body is not None:
            if body:
                response.send(body)
            response.finish()
        self.answered.callback(response)
        return response

    def fail(self, error: Exception) -> None:
        """No answer comes."""
        self.answered.errback(error)


@define(eq=False)
class Internet:
    """
    The servers that there are.

    @ivar addresses: where names lead, if not to a public address.
    @ivar requests: what has been asked, in order; the test pops and answers.
    """

    addresses: dict[str, str] = field(factory=dict)
    requests: list[Request] = field(factory=list)
    connections: list[Connection] = field(factory=list)

    def request(self) -> Request:
        """The oldest request that is not answered."""
        return self.requests.pop(0)


class FakeFetcher(Fetcher):
    """A fetcher whose requests a test answers."""

    def __init__(self, clock: Clock, internet: Internet, **options: Any) -> None:
        super().__init__(clock, **options)
        self.internet = internet

    def agent(self, hop: Hop) -> Any:
        return Agent(self.internet, hop)


class Agent:
    """Connects one hop."""

    def __init__(self, internet: Internet, hop: Hop) -> None:
        self._internet = internet
        self._hop = hop

    def request(self, method: bytes, uri: bytes, headers: Headers) -> Deferred[Any]:
        assert method == b"GET"
        connection = Connection(self._internet.addresses.get(self._hop.host, "198.41.0.4"))
        self._internet.connections.append(connection)
        self._hop.reused = False
        connected = execute(self._hop.connected, connection)
        if isinstance(connected.result, Failure):
            failure = connected.result
            connected.addErrback(lambda _: None)
            return fail(failure)
        answered: Deferred[Any] = Deferred()
        fields = {name.decode(): values[0].decode() for name, values in headers.getAllRawHeaders()}
        self._internet.requests.append(Request(uri.decode(), fields, answered, connection))
        return answered


class Threads:
    """Runs what is to run in a thread, at once or (C{held}) when the test says so."""

    def __init__(self) -> None:
        self.held = False
        self._jobs: list[tuple[Deferred[Any], Callable[[], Any]]] = []

    def __call__(self, job: Callable[[], Any]) -> Deferred[Any]:
        if not self.held:
            return execute(job)
        done: Deferred[Any] = Deferred()
        self._jobs.append((done, job))
        return done

    def run(self) -> None:
        """Run what waits, and what that starts."""
        while self._jobs:
            done, job = self._jobs.pop(0)
            execute(job).chainDeferred(done)
