"""The status site without sockets: requests go in as bytes, answers come out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from pybootd.config.reader import read
from pybootd.status.board import Board
from tests.support.boots import Story

NOW = 2000.0


@frozen
class Answer:
    """One answer."""

    status: int
    fields: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body, read."""
        return json.loads(self.body)


class Wire(StringTransport):
    """A connection; it can be so full that it pauses who writes."""

    aborted = False

    def __init__(self) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "127.0.0.1", 50000))

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()


class Reactor(Clock):
    """Time, and a pool of threads that has none."""

    def suggestThreadPoolSize(self, size: int) -> None:
        """Nothing to do."""


class Visitor:
    """One connection of a browser or program."""

    def __init__(self, board: Board, reactor: Clock) -> None:
        self.transport = Wire()
        self.reactor = reactor
        self.protocol = board.factory.buildProtocol(self.transport.getPeer())
        self.refused = self.protocol is None
        if not self.refused:
            self.protocol.makeConnection(self.transport)

    def say(self, text: str) -> None:
        """Send bytes."""
        self.protocol.dataReceived(text.encode("latin-1"))
        self.reactor.advance(0)

    def heard(self) -> str:
        """What came back since."""
        text = self.transport.value().decode()
        self.transport.clear()
        return text

    def ask(self, method: str, path: str, body: str = "", **fields: str) -> Answer:
        """One request, and its answer; C{X_y} in a field's name is C{X-y}."""
        head = {"Host": "127.0.0.1:8067", **{name.replace("_", "-"): value for name, value in fields.items()}}
        if body:
            head |= {"Content-Length": str(len(body)), "Content-Type": "application/x-www-form-urlencoded"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items() if value)
        self.say(f"{method} {path} HTTP/1.1\r\n{lines}\r\n{body}")
        top, _, rest = self.transport.value().partition(b"\r\n\r\n")
        self.transport.clear()
        first, *others = top.decode().split("\r\n")
        return Answer(int(first.split()[1]), dict(line.split(": ", 1) for line in others), rest)

    def get(self, path: str, **fields: str) -> Answer:
        """A GET."""
        return self.ask("GET", path, **fields)

    def leave(self) -> None:
        """The connection breaks."""
        from twisted.internet.error import ConnectionDone
        from twisted.python.failure import Failure

        self.protocol.connectionLost(Failure(ConnectionDone()))


class Status:
    """
    A status site.

    @ivar story: what happens to a machine.
    """

    def __init__(
        self, *, token: str = "", limits: str = "", names: Sequence[str] = ("bootserver",), **sources: Any
    ) -> None:
        text = "[bootpd]\npool_start = 10.77.0.100\n[bootfile]\ndefault = pxelinux.0\n[status]\nenable = yes\n"
        if token:
            text += f"token = {token}\n"
        if limits:
            text += f"[limits]\n{limits}\n"
        self.reactor = Reactor()
        self.reactor.advance(NOW)
        self.board = Board(read(text), self.reactor, self.reactor.seconds, names=names, **sources)
        self.story = Story(self.tell)

    def tell(self, event: Any) -> None:
        """Something happens."""
        for subscriber in self.board.subscribers:
            subscriber(event)

    def visitor(self) -> Visitor:
        """Somebody connects."""
        return Visitor(self.board, self.reactor)

    def get(self, path: str, **fields: str) -> Answer:
        """A GET on a connection of its own."""
        visitor = self.visitor()
        answer = visitor.get(path, **fields)
        visitor.leave()
        return answer
