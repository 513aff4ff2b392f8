"""
The status site: the page, its files, the login form, the API and the metrics, behind one guard.

The page is plain HTML, CSS and JavaScript of this package; nothing is loaded from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any

from twisted.protocols.policies import WrappingFactory
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Request, Site

from pybootd.status.api import Events, Health, Leases, Machines, Missing, Page, Sources, Wrong, refuse, send
from pybootd.status.feed import Feed
from pybootd.status.guard import HEADERS, Guard
from pybootd.throttle import Throttle

TIMEOUT = 30
"""Seconds that a connection may be idle between requests, or take to say one."""

LINGER = 15
"""Seconds more for the rest of an answer."""

BODY = 4096
"""Bytes of a form."""

FORM = b"application/x-www-form-urlencoded"

TRIES = 10
"""Words in the login form in a minute, from one address; and wrong ones in the fields of requests."""

PUBLIC = {b"healthz", b"login", b"logout", b"style.css", b"icon.svg"}
"""What a visitor may see before the login."""

KINDS: Mapping[str, bytes] = {
    "html": b"text/html; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
    "json": b"application/json",
}
FILES = ("style.css", "app.js", "list.js", "row.js", "machine.js", "text.js", "icon.svg")


class File(Page):
    """A file of this package."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.data = (files("pybootd.status") / "static" / name).read_bytes()
        self._kind = KINDS[name.rpartition(".")[2]]
        self._etag = b'"%s"' % sha256(self.data).hexdigest()[:24].encode()

    def answer(self, request: Request) -> int:
        request.setHeader(b"Cache-Control", b"no-cache")
        if request.setETag(self._etag):  # it has it already, and the answer is 304
            request.write(b"")
            request.finish()
            return NOT_DONE_YET
        return send(request, 200, self.data, self._kind)


class Form(Page):
    """What takes a POST: of this site's own pages, and of no other's."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard

    def render(self, request: Request) -> int:
        problem = self._guard.forged(request) if request.method == b"POST" else ""
        return refuse(request, 403, problem) if problem else super().render(request)


class Login(Form):
    """The form that asks for the token."""

    allowed = (b"GET", b"HEAD", b"POST")

    def __init__(self, guard: Guard, clock: Callable[[], float]) -> None:
        super().__init__(guard)
        self._form = File("login.html").data
        self._tries = Throttle(clock, TRIES, 60.0)

    def answer(self, request: Request) -> int:
        if request.method != b"POST":
            return send(request, 200, self._form, KINDS["html"])
        if not self._tries.admits(request.getClientAddress().host):  # before it is looked at: the right one too
            return self._again(request, 429, b"Too many tries; wait a minute.")
        words = (request.args or {}).get(b"token", [b""])
        if self._guard.login(request, words[0]):
            return _to(request, b"/")
        return self._again(request, 403, b"This is not the token.")

    def _again(self, request: Request, status: int, said: bytes) -> int:
        return send(request, status, self._form.replace(b"<!-- said -->", said), KINDS["html"])


class Logout(Form):
    """Forgets the visitor."""

    allowed = (b"POST",)

    def answer(self, request: Request) -> int:
        self._guard.logout(request)
        return _to(request, b"/login")


class Away(Page):
    """The visitor has to log in first."""

    isLeaf = True

    def answer(self, request: Request) -> int:
        return _to(request, b"/login")


def _to(request: Request, place: bytes) -> int:
    request.setHeader(b"Location", place)
    return send(request, 303, b"", KINDS["html"])


class Root(Page):
    """Everything; whoever comes is judged first."""

    def __init__(self, guard: Guard, clock: Callable[[], float]) -> None:
        super().__init__()
        self._guard = guard
        self._wrong = Throttle(clock, TRIES, 60.0)

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        problem = self._guard.host_problem(request)
        if problem:
            return Wrong(421, problem)
        problem = self._guard.foreign(request)
        if problem:
            return Wrong(403, problem)
        stranger = None if path in PUBLIC else self._stranger(path, request)
        if stranger is not None:
            return stranger
        found: IResource = super().getChildWithDefault(path, request)
        return found

    def _stranger(self, path: bytes, request: Request) -> Page | None:
        """What a visitor is answered who has not shown the token; who guesses soon learns nothing any more."""
        host = request.getClientAddress().host
        tried = self._guard.tried(request)
        if tried and self._wrong.spent(host):  # before it is looked at: the right one too
            request.setHeader(b"Retry-After", b"60")
            return Wrong(429, "too many wrong tokens from this address; wait a minute")
        if self._guard.admits(request):
            return None
        if tried:
            self._wrong.admits(host)
        if not path:
            return Away()
        request.setHeader(b"WWW-Authenticate", b'Bearer realm="pybootd"')
        return Wrong(401, "a token is needed: Authorization: Bearer TOKEN")


class Asked(Request):
    """A request whose body is small, and a form or nothing."""

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Of the kind of a body nothing is left but whether it is a form: Twisted fails on control characters there."""
        kinds = self.requestHeaders.getRawHeaders(b"Content-Type") or []
        self.requestHeaders.removeHeader(b"Content-Type")
        if [kind.partition(b";")[0].strip().lower() for kind in kinds] == [FORM]:
            self.requestHeaders.setRawHeaders(b"Content-Type", [FORM])
        super().requestReceived(command, path, version)

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        if length is None or length > BODY:
            transport: Any = self.channel.transport
            transport.write(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.channel.loseConnection()


class Channel(HTTPChannel):
    """
    A connection whose requests have to be there, whole, within L{TIMEOUT}.

    @ivar answered: requests that came to their end.
    """

    _begun = False
    _closing = False
    answered = 0

    @property
    def busy(self) -> bool:
        """Whether a request is being answered: a live stream, mostly."""
        return bool(self._handlingRequest)

    def resetTimeout(self) -> None:
        """Bytes have come.  The first of a request starts its deadline; no other moves it."""
        if not self._begun:
            self._begun = True
            super().resetTimeout()

    def allContentReceived(self) -> None:
        self._begun = False
        self.answered += 1
        super().allContentReceived()

    def timeoutConnection(self) -> None:
        """Close it: at once where a request dripped, else after what is left to be sent; the log has no line of it."""
        if self._begun or self._closing:
            transport: Any = self.transport
            transport.abortConnection()
            return
        self._closing = True
        self.setTimeout(LINGER)
        self.loseConnection()


class StatusSite(Site):
    """Writes no log of its own: who listens to the events knows more."""

    protocol: Any = Channel
    displayTracebacks = False
    noisy = False

    def log(self, request: Any) -> None:
        """Nothing."""


class Limited(WrappingFactory):
    """
    No more than so many connections.

    One more takes the place of the oldest that never asked for anything, or else of the oldest that waits; where all
    are being answered, it is closed at once.
    """

    noisy = False

    def __init__(self, wrapped: Any, limit: int) -> None:
        """
        @param limit: connections at once; another one counts from the next connection on.
        """
        super().__init__(wrapped)
        self.limit = limit

    def buildProtocol(self, addr: Any) -> Any:
        return super().buildProtocol(addr) if self._room() else None

    def _room(self) -> bool:
        if len(self.protocols) < self.limit:
            return True
        waiting = [wrapper for wrapper in self.protocols if not wrapper.wrappedProtocol.busy]
        found = next((wrapper for wrapper in waiting if not wrapper.wrappedProtocol.answered), None)
        found = found or next(iter(waiting), None)
        if found is None:
            return False
        del self.protocols[found]
        found.transport.abortConnection()
        return True

    def unregisterProtocol(self, p: Any) -> None:
        """It is gone; it may have had to make room before."""
        self.protocols.pop(p, None)


def site(
    feed: Feed, sources: Sources, guard: Guard, reactor: Any, metrics: IResource | None = None, *, limit: int
) -> Limited:
    """
    The factory of the site's connections.

    @param limit: how many of them at once.
    @param metrics: what C{/metrics} is.
    """
    root = Root(guard, reactor.seconds)
    root.putChild(b"", File("index.html"))
    for name in FILES:
        root.putChild(name.encode(), File(name))
    root.putChild(b"login", Login(guard, reactor.seconds))
    root.putChild(b"logout", Logout(guard))
    root.putChild(b"healthz", Health(sources))
    root.putChild(b"metrics", metrics if metrics is not None else Missing())
    api = Page()
    api.putChild(b"machines", Machines(feed, sources))
    api.putChild(b"leases", Leases(feed, sources))
    api.putChild(b"events", Events(feed))
    api.putChild(b"openapi.json", File("openapi.json"))
    root.putChild(b"api", api)
    return Limited(StatusSite(root, requestFactory=Asked, timeout=TIMEOUT, reactor=reactor), limit)
