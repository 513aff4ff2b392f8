"""
Small exchanges with other people's web servers: one request, one answer, all of it within a deadline.

No redirect is followed, no answer is read beyond its limit, no connection is kept.
"""

from __future__ import annotations

from typing import Any

import treq
from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer
from zope.interface import implementer

from pybootd.errors import WebFailed
from pybootd.net.ending import minded
from pybootd.net.heading import bound
from pybootd.text import printable

LONGEST = 65536
"""Bytes of an answer that are read."""


@frozen
class Answer:
    """All of an answer."""

    status: int
    body: bytes


class Web:
    """Sends requests."""

    def __init__(self, reactor: Any, timeout: float, agent: IAgent | None = None) -> None:
        """
        @param timeout: seconds for the whole of an exchange.
        @param agent: what connects; a new one of the reactor's if not given.
        """
        self._reactor = reactor
        self._timeout = timeout
        self._agent = agent

    def get(self, url: str) -> Deferred[Answer]:
        """@return: fires with the answer, or fails with L{WebFailed}."""
        return self._exchange("GET", url, None, {})

    def post(self, url: str, body: bytes, media_type: str) -> Deferred[Answer]:
        """@return: fires with the answer, or fails with L{WebFailed}."""
        return self._exchange("POST", url, body, {"Content-Type": [media_type]})

    def _exchange(self, method: str, url: str, body: bytes | None, headers: dict[str, list[str]]) -> Deferred[Answer]:
        answer = Deferred.fromCoroutine(self._send(method, url, body, Headers({"User-Agent": ["pybootd"], **headers})))
        answer.addTimeout(self._timeout, self._reactor)
        return answer.addErrback(self._failed)

    async def _send(self, method: str, url: str, body: bytes | None, headers: Headers) -> Answer:
        data = None if body is None else _Given(body)
        collector = _Body()
        agent = self._agent or Agent(
            self._reactor, connectTimeout=self._timeout, pool=_Connections(self._reactor, collector)
        )
        response = await treq.request(
            method, url, agent=agent, headers=headers, data=data, allow_redirects=False, unbuffered=True
        )
        response.deliverBody(collector)
        return Answer(response.code, await collector.whole)

    def _failed(self, failure: Failure) -> Failure:
        return Failure(WebFailed(self._why(failure)))

    def _why(self, failure: Failure) -> str:
        if failure.check(TimedOut, CancelledError):
            return f"no answer within {self._timeout:g} s"
        if failure.check(ConnectionAborted):
            return f"answers more than {LONGEST} bytes"
        reasons = getattr(failure.value, "reasons", ())  # of what befell the connection under it
        return self._why(reasons[0]) if reasons else printable(failure.getErrorMessage())


@implementer(IBodyProducer)
class _Given:
    """The body of a request, sent at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._data)
        return succeed(None)

    def stopProducing(self) -> None:
        pass

    pauseProducing = resumeProducing = stopProducing


class _Connections(HTTPConnectionPool):
    """The connection of one exchange, header and body."""

    def __init__(self, reactor: Any, body: _Body) -> None:
        super().__init__(reactor, persistent=False)
        self._body = body

    def getConnection(self, key: Any, endpoint: Any) -> Deferred[Any]:
        connecting = super().getConnection(key, endpoint).addCallback(minded, self._body.broke)
        return connecting.addCallback(bound, lambda: False)


class _Body(Protocol):
    """The body of an answer; one that is too long, or for which nobody waits any more, ends its connection."""

    def __init__(self) -> None:
        self.whole: Deferred[bytes] = Deferred(lambda _: self._hang_up())
        self._data = bytearray()
        self._broken: Failure | None = None

    def broke(self, reason: Failure) -> None:
        """The connection did not end in order, which is told of a body without a length in no other way."""
        self._broken = reason

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > LONGEST and not self.whole.called:
            self._hang_up()
            self.whole.errback(WebFailed(f"answers more than {LONGEST} bytes"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.whole.called:
            return
        if reason.check(ResponseDone) or (reason.check(PotentialDataLoss) and self._broken is None):
            self.whole.callback(bytes(self._data))
        else:
            self.whole.errback(self._broken or reason)

    def _hang_up(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()
