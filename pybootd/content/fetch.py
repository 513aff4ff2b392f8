"""
Asking remote HTTP servers: one GET, with redirects, deadlines and a bound on how many at once.

Redirects are followed within reason: a few, never from https to http, and never from a
server on the Internet to one on a private network, so that a mirror cannot make a boot
server read its neighbours' pages.  The address that counts is the one that is connected to,
whatever names say.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any, Protocol
from urllib.parse import SplitResult, unquote_to_bytes, urljoin, urlsplit

from attrs import frozen
from twisted.internet import error as network
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IDelayedCall, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import (
    URI,
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IAgentEndpointFactory, IResponse
from zope.interface import implementer

from pybootd import __version__
from pybootd.content.urls import shown
from pybootd.errors import ContentError, EnvironmentProblem, SourceFailed
from pybootd.net.ending import minded
from pybootd.net.heading import bound
from pybootd.text import printable

REDIRECTS = frozenset((301, 302, 303, 307, 308))
MAXIMUM_REDIRECTS = 5

DRAINED = 65536
"""Bytes of an unwanted body that are read, so that its connection can serve again; with more it is dropped."""


@frozen
class Patience:
    """How long a remote server may take, in seconds."""

    connect: float = 10.0
    answer: float = 30.0
    """Until the header is there: redirects, and waiting for a free connection, included."""
    stall: float = 30.0
    """Without a byte while bytes are wanted."""
    body: float = 6 * 3600.0
    """For all of one file."""


class Receiver(Protocol):
    """Takes the body of an answer."""

    def received(self, data: bytes) -> None:
        """Some more bytes."""

    def ended(self, failure: SourceFailed | None) -> None:
        """Nothing more comes: all of the body is here, or this is why not."""


class Fetcher:
    """
    Sends GET requests; one instance serves the whole server.

    @param connections: how many answers may be under way at once; who asks beyond that waits.
    """

    log = Logger()

    def __init__(self, reactor: Any, connections: int = 64, patience: Patience | None = None) -> None:
        self.reactor = reactor
        self.patience = patience or Patience()
        self._free = DeferredSemaphore(connections)
        self._pool = _Pool(reactor)

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Deferred[Answer]:
        """
        Ask for one URL.

        @param url: finished; may hold C{user:password@}, which goes to that server only.
        @param headers: further fields of the request.
        @return: fires when the answer's header is there; whoever gets it reads the body, or
            says L{Answer.drop}.
        @raise SourceFailed: (as a Failure) no answer could be had.
        """
        asked: Deferred[Answer] = Deferred.fromCoroutine(self._get(url, headers or {}))
        asked.addTimeout(self.patience.answer, self.reactor)
        return asked.addErrback(self._failed, url)

    def close(self) -> Deferred[None]:
        """Let go of idle connections."""
        return self._pool.closeCachedConnections()  # type: ignore[no-any-return]

    def agent(self, hop: Hop) -> IAgent:
        """What sends the request of one hop."""
        return Agent.usingEndpointFactory(self.reactor, hop, self._pool)  # type: ignore[no-any-return]

    async def _get(self, url: str, headers: Mapping[str, str]) -> Answer:
        await self._free.acquire()
        try:
            response, hop = await self._follow(url, headers)
        except BaseException:
            self._free.release()
            raise
        return Answer(self, hop, response, self._free.release)

    async def _follow(self, url: str, headers: Mapping[str, str]) -> tuple[IResponse, Hop]:
        hop = Hop(self, url)
        for _ in range(MAXIMUM_REDIRECTS + 1):
            response = await self._request(hop, headers)
            location = response.headers.getRawHeaders("Location")
            if response.code not in REDIRECTS or not location:
                return response, hop
            hop.abort()
            hop = hop.redirected(location[0])
        raise SourceFailed(f"{hop.host} redirects without end")

    async def _request(self, hop: Hop, headers: Mapping[str, str]) -> IResponse:
        fields = Headers({name: [value] for name, value in {**hop.headers, **headers}.items()})
        while True:
            try:
                response = await self.agent(hop).request(b"GET", hop.uri, fields)
                hop.answered = True
                return response
            except ResponseNeverReceived as error:
                if not hop.reused or error.reasons[0].check(CancelledError):
                    raise  # else the server had closed an idle connection: the next is another one

    def _failed(self, failure: Failure, url: str) -> Failure:
        if failure.check(ContentError):
            return failure
        host = urlsplit(url).hostname or shown(url)
        problem = SourceFailed(f"{printable(host)} {_sentence(failure)}")
        problem.__cause__ = failure.value
        return Failure(problem)


@implementer(IAgentEndpointFactory)
class Hop:
    """
    One request's way to its server.

    @ivar private: whether the server is on a private network; known once it is connected.
    @ivar reused: the connection had served another request before.
    @ivar answered: the header of the answer is here.
    @ivar broken: the connection has ended otherwise than in order.
    """

    def __init__(self, fetcher: Fetcher, url: str, previous: Hop | None = None) -> None:
        """@raise SourceFailed: it is no URL that could be fetched."""
        self._fetcher = fetcher
        self._previous = previous
        self.private: bool | None = None
        self.reused = True
        self.answered = False
        self.broken = False
        self._transport: Any = None
        try:
            parts = urlsplit(url)
            self.host = parts.hostname or ""
            self._origin = (parts.scheme.lower(), self.host, parts.port)
            netloc = parts.netloc.rpartition("@")[2]
            self.url = parts._replace(netloc=netloc, fragment="").geturl()
            self.uri = self.url.encode("ascii")
        except ValueError as error:
            raise SourceFailed(f"No URL: {printable(shown(url))}") from error
        if self._origin[0] not in ("http", "https") or not self.host:
            raise SourceFailed(f"Only http and https can be fetched, not {printable(shown(url))}")
        self.headers = {"User-Agent": f"pybootd/{__version__}", "Accept-Encoding": "identity", **_authorization(parts)}

    def redirected(self, location: str) -> Hop:
        """@raise SourceFailed: this redirect is not to be followed."""
        hop = Hop(self._fetcher, urljoin(self.url, location), self)
        if self._origin[0] == "https" and hop._origin[0] == "http":
            raise SourceFailed(f"{self.host} redirects from https to http")
        if hop._origin == self._origin:
            hop.headers = self.headers
        return hop

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return _Endpoint(self, self._fetcher, uri)

    def connected(self, transport: Any) -> None:
        """@raise SourceFailed: a redirect has led to a private network, from a server that is not on one."""
        self._transport = transport
        self.private = _is_private(transport.getPeer().host)
        if self._previous is not None and self.private and not self._previous.private:
            self.abort()
            raise SourceFailed(f"{self._previous.host} redirects to the private network ({self.host})")

    def broke(self, reason: Failure) -> None:
        """The connection is lost."""
        self.broken = True

    def abort(self) -> None:
        """Drop the connection, whatever is under way on it."""
        if self._transport is not None:
            self._transport.abortConnection()


class Answer(TwistedProtocol):
    """
    The answer to one request, whose body is read at the receiver's pace.

    @ivar status: HTTP's status code.
    @ivar size: bytes in the body, or None where the server does not say.
    @ivar url: where it came from in the end, without user and password.
    @ivar host: the server that gave it.
    """

    def __init__(self, fetcher: Fetcher, hop: Hop, response: IResponse, release: Any) -> None:
        self.status: int = response.code
        self.size: int | None = None if response.length is UNKNOWN_LENGTH else response.length
        self.url = hop.url
        self.host = hop.host
        self._abort = hop.abort
        self._hop = hop
        self._response = response
        self._patience = fetcher.patience
        self._release = release
        self._receiver: Receiver | None = None
        self._count = 0
        self._paused = False
        self._open = True
        self._call_later = fetcher.reactor.callLater
        self._stall: IDelayedCall = self._call_later(self._patience.stall, self._stalled)
        self._deadline: IDelayedCall = self._call_later(self._patience.body, self._expired)

    def header(self, name: str) -> str | None:
        """The last field of that name."""
        values = self._response.headers.getRawHeaders(name)
        return values[-1] if values else None

    def deliver(self, receiver: Receiver) -> None:
        """Begin to read the body."""
        self._receiver = receiver
        self._response.deliverBody(self)
        if self._paused:  # by the first bytes; Twisted lets its transport run after these
            self.transport.pauseProducing()  # type: ignore[union-attr]

    def pause(self) -> None:
        """Hold the body back, for as long as it takes: the server's patience is not ours to keep."""
        if self._open and not self._paused:
            self._paused = True
            self._stall.cancel()
            self.transport.pauseProducing()  # type: ignore[union-attr]

    def resume(self) -> None:
        """Go on."""
        if self._open and self._paused:
            self._paused = False
            self._stall = self._call_later(self._patience.stall, self._stalled)
            self.transport.resumeProducing()  # type: ignore[union-attr]

    def drop(self) -> None:
        """Nobody wants (the rest of) the body."""
        if not self._open:
            return
        if self._receiver is None and self.size is not None and self.size <= DRAINED:
            self.deliver(_Drain())
        else:
            self._receiver = None
            self._finish(None)
            self._abort()

    def dataReceived(self, data: bytes) -> None:
        if self._open and self._receiver is not None:
            self._count += len(data)
            if not self._paused:
                self._stall.reset(self._patience.stall)
            self._receiver.received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        closed = self.size is None and not self._hop.broken and reason.check(PotentialDataLoss)
        complete = reason.check(ResponseDone) or closed
        self._finish(None if complete else f"broke off after {self._progress()}")

    def _stalled(self) -> None:
        self._finish(f"stalled after {self._progress()}")
        self._abort()

    def _progress(self) -> str:
        return f"{self._count} bytes" if self.size is None else f"{self._count} of {self.size} bytes"

    def _expired(self) -> None:
        self._finish("took too long")
        self._abort()

    def _finish(self, problem: str | None) -> None:
        if not self._open:
            return
        self._open = False
        for call in (self._stall, self._deadline):
            if call.active():
                call.cancel()
        receiver, self._receiver = self._receiver, None
        self._release()
        if receiver is not None:
            receiver.ended(None if problem is None else SourceFailed(f"{self.host} {problem}"))


class _Drain:
    """Takes a body that nobody wants."""

    def received(self, data: bytes) -> None:
        pass

    def ended(self, failure: SourceFailed | None) -> None:
        pass


@implementer(IStreamClientEndpoint)
class _Endpoint:
    """Connects for one hop, and says that the connection is a new one."""

    def __init__(self, hop: Hop, fetcher: Fetcher, uri: URI) -> None:
        self.hop = hop
        self._endpoint: IStreamClientEndpoint = HostnameEndpoint(
            fetcher.reactor, uri.host, uri.port, timeout=fetcher.patience.connect
        )
        if uri.scheme == b"https":
            creator = BrowserLikePolicyForHTTPS().creatorForNetloc(uri.host, uri.port)
            self._endpoint = wrapClientTLS(creator, self._endpoint)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        self.hop.reused = False
        protocolFactory.noisy = False  # type: ignore[attr-defined]
        return self._endpoint.connect(protocolFactory)


class _Pool(HTTPConnectionPool):
    """Idle connections; each is vetted again by the hop that takes it."""

    retryAutomatically = False
    cachedConnectionTimeout = 15

    def getConnection(self, key: Any, endpoint: Any) -> Deferred[Any]:
        def connected(connection: Any) -> Any:
            hop = endpoint.hop
            hop.connected(connection.transport)
            minded(connection, hop.broke)
            return bound(connection, lambda: bool(hop.answered))

        return super().getConnection(key, endpoint).addCallback(connected)


def require_tls(what: str) -> None:
    """@raise EnvironmentProblem: the libraries for TLS are not installed."""
    try:
        import OpenSSL  # noqa: F401
        import service_identity  # noqa: F401
    except ImportError as error:
        raise EnvironmentProblem(f"{what} needs pyOpenSSL and service-identity; install pybootd[tls]") from error


def _authorization(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    credentials = unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password or "")
    return {"Authorization": f"Basic {b64encode(credentials).decode('ascii')}"}


def _is_private(host: str) -> bool:
    address = ip_address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return not address.is_global


_SENTENCES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((TimedOut, CancelledError, network.TimeoutError), "does not answer"),
    ((network.DNSLookupError,), "is not known to the name server"),
    ((network.ConnectionRefusedError,), "refuses connections"),
    ((network.NoRouteError,), "cannot be reached"),
    ((network.ConnectionAborted,), "answers with a header that never ends"),
    ((network.ConnectionLost, network.ConnectionDone), "closed the connection without an answer"),
)


def _sentence(failure: Failure) -> str:
    """What went wrong with a server, to follow its name."""
    while failure.check(ResponseFailed) and failure.value.reasons:  # type: ignore[union-attr]
        failure = failure.value.reasons[0]  # type: ignore[union-attr]
    for kinds, sentence in _SENTENCES:
        if failure.check(*kinds):
            return sentence
    if type(failure.value).__module__.startswith("OpenSSL"):  # (library, function, reason), one or several
        return f"cannot be trusted: {', '.join(reason for *_, reason in failure.value.args[0])}"  # type: ignore[union-attr]
    return f"failed: {printable(failure.getErrorMessage())}"
