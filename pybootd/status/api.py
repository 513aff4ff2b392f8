"""
The JSON API: machines, leases, the live stream, health.  Described in C{static/openapi.json}.

Nothing here changes anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from attrs import frozen
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from pybootd import __version__
from pybootd.leases.lease import Lease
from pybootd.status.feed import Feed, encoded
from pybootd.status.views import lease, page, row
from pybootd.text import printable

MOST = 1000
"""Entries in one answer."""

JSON = b"application/json"
_PHRASES = {421: b"Misdirected Request", 429: b"Too Many Requests"}
"""Which Twisted does not know (RFC 9110, RFC 6585)."""


@frozen
class Sources:
    """What the API shows beside the timeline."""

    leases: Callable[[], Iterable[Lease]] = lambda: ()
    exchanges: Callable[[str], Sequence[dict[str, object]]] = lambda mac: ()
    """The packets and decisions of a machine."""
    troubles: Callable[[], Sequence[str]] = lambda: ()
    """What keeps this server from serving."""


class Problem(Exception):
    """The request cannot be answered as it is."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def send(request: Request, status: int, body: bytes, kind: bytes) -> int:
    """A whole answer."""
    request.setResponseCode(status, _PHRASES.get(status))
    request.setHeader(b"Content-Type", kind)
    request.setHeader(b"Content-Length", b"%d" % len(body))
    request.write(b"" if request.method == b"HEAD" else body)
    request.finish()
    return NOT_DONE_YET


def refuse(request: Request, status: int, reason: str) -> int:
    """An error, as JSON."""
    return send(request, status, encoded({"error": reason}), JSON)


class Page(Resource):
    """Something to read: GET and HEAD, and nothing else."""

    allowed: tuple[bytes, ...] = (b"GET", b"HEAD")

    def render(self, request: Request) -> int:
        if request.method not in self.allowed:
            request.setHeader(b"Allow", b", ".join(self.allowed))
            return refuse(request, 405, f"only {b', '.join(self.allowed).decode()} are answered here")
        try:
            return self.answer(request)
        except Problem as problem:
            return refuse(request, problem.status, str(problem))

    def answer(self, request: Request) -> int:
        """Answer it; L{Problem} becomes an error."""
        raise Problem(404, "there is nothing here")

    def getChild(self, path: bytes, request: Request) -> Resource:
        return Missing()


class Missing(Page):
    """Nothing."""

    isLeaf = True

    def render(self, request: Request) -> int:
        return refuse(request, 404, "there is nothing here")


class Wrong(Page):
    """A request that is turned away."""

    isLeaf = True

    def __init__(self, status: int, reason: str) -> None:
        super().__init__()
        self._status = status
        self._reason = reason

    def render(self, request: Request) -> int:
        return refuse(request, self._status, self._reason)


class Machines(Page):
    """C{/api/machines}: all of them, the one that was heard of last first."""

    def __init__(self, feed: Feed, sources: Sources) -> None:
        super().__init__()
        self._feed = feed
        self._sources = sources

    def getChild(self, path: bytes, request: Request) -> Resource:
        return Machine(path, self._feed, self._sources)

    def answer(self, request: Request) -> int:
        feed, now = self._feed, self._feed.time()
        shown = islice(feed.timeline, *_range(request))
        machines = [row(record, now, feed.where) for record in shown]
        body = {"time": now, "total": len(feed.timeline), "machines": machines}
        return send(request, 200, encoded(body), JSON)


class Machine(Page):
    """C{/api/machines/ID}: one, with its log, its packets and the decisions about it."""

    def __init__(self, name: bytes, feed: Feed, sources: Sources) -> None:
        super().__init__()
        self._name = name.decode("utf-8", "replace")
        self._feed = feed
        self._sources = sources

    def answer(self, request: Request) -> int:
        key = self._name.lower().replace("-", ":")
        record = self._feed.timeline.get(key)
        if record is None:
            raise Problem(404, f"no machine {printable(self._name, 60)} was heard of")
        exchanges = self._sources.exchanges(record.mac)
        body = page(record, self._feed.time(), self._feed.where, exchanges)
        return send(request, 200, encoded(body), JSON)


class Leases(Page):
    """C{/api/leases}."""

    def __init__(self, feed: Feed, sources: Sources) -> None:
        super().__init__()
        self._feed = feed
        self._sources = sources

    def answer(self, request: Request) -> int:
        leases = sorted(self._sources.leases(), key=lambda one: one.address)
        shown = [lease(one) for one in islice(leases, *_range(request))]
        body = {"time": self._feed.time(), "total": len(leases), "leases": shown}
        return send(request, 200, encoded(body), JSON)


class Events(Page):
    """C{/api/events}: what happens, as it happens."""

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self._feed = feed

    def answer(self, request: Request) -> int:
        view = _word(request, b"view") or "events"
        if view not in ("events", "machines"):
            raise Problem(400, "view is events or machines")
        request.setHeader(b"Content-Type", b"text/event-stream")
        request.setHeader(b"X-Accel-Buffering", b"no")
        if request.method == b"HEAD":
            request.write(b"")
            request.finish()
            return NOT_DONE_YET
        transport: Any = request.transport
        reader = self._feed.open(request.write, transport.abortConnection, rows=view == "machines")
        if reader is None:
            raise Problem(503, "too many read along already")
        request.registerProducer(reader, True)
        request.notifyFinish().addBoth(lambda _: self._feed.leave(reader))
        return NOT_DONE_YET


class Health(Page):
    """C{/healthz}: whether this server serves, for those who watch it.  Says nothing that needs a token."""

    def __init__(self, sources: Sources) -> None:
        super().__init__()
        self._sources = sources

    def answer(self, request: Request) -> int:
        troubles = list(self._sources.troubles())
        body = {"status": "failing" if troubles else "ok", "version": __version__, "troubles": troubles}
        return send(request, 503 if troubles else 200, encoded(body), JSON)


def _range(request: Request) -> tuple[int, int]:
    offset = _number(request, b"offset", 0, 0, 1_000_000_000)
    return offset, offset + _number(request, b"limit", MOST, 1, MOST)


def _number(request: Request, name: bytes, default: int, least: int, most: int) -> int:
    word = _word(request, name)
    if word is None:
        return default
    if not re.fullmatch(r"[0-9]{1,10}", word, re.ASCII) or not least <= int(word) <= most:
        raise Problem(400, f"{name.decode()} is a number from {least} to {most}")
    return int(word)


def _word(request: Request, name: bytes) -> str | None:
    words = (request.args or {}).get(name)
    if words is None:
        return None
    if len(words) != 1:
        raise Problem(400, f"{name.decode()} is there more than once")
    return str(words[0].decode("utf-8", "replace"))
