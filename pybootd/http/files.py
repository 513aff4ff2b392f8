"""
One HTTP request for one file: from the request line to the events that tell how it went.

GET and HEAD (RFC 9110), conditions, one range, keep-alive.  What a client writes is a name for
the resolver and nothing else; what it gets is a file or a sentence in plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES, Request
from twisted.web.http_headers import Headers

from pybootd.content.content import Content
from pybootd.content.refusal import script
from pybootd.errors import ContentError, Forbidden, NotFound
from pybootd.events import (
    Event,
    FileAsked,
    FileMissing,
    Refused,
    TransferBegun,
    TransferEnded,
    TransferFailed,
    TransferProgress,
)
from pybootd.http import sendfile
from pybootd.http.outbox import Part
from pybootd.http.selection import Conditions, Selection, select
from pybootd.http.sendfile import GONE, Pump
from pybootd.http.stream import Stream
from pybootd.text import printable

if TYPE_CHECKING:
    from pybootd.http.site import Channel

SMALL = 64 * 1024
"""Bytes; a file that is no longer is read and written in one go."""

STALL = 60.0
"""Seconds in which a client must take something of what is there for it."""

PROGRESS = 0.5
"""Seconds between two reports on one transfer."""

DEFAULT_TYPE = b"application/octet-stream"
TYPES = {
    # UEFI HTTP Boot tells by these what it has got: a program, or a disk to boot from
    b"efi": b"application/efi",
    b"iso": b"application/vnd.efi-iso",
    b"img": b"application/vnd.efi-img",
    b"ipxe": b"text/plain; charset=utf-8",
    b"cfg": b"text/plain; charset=utf-8",
    b"conf": b"text/plain; charset=utf-8",
    b"txt": b"text/plain; charset=utf-8",
    b"ks": b"text/plain; charset=utf-8",
    b"yaml": b"text/plain; charset=utf-8",
    b"json": b"application/json",
    b"xml": b"application/xml",
    b"html": b"text/html; charset=utf-8",
    b"gz": b"application/gzip",
    b"xz": b"application/x-xz",
}

_CONDITIONAL = (b"range", b"if-range", b"if-none-match", b"if-modified-since")
"""The fields of L{Conditions}, in its order."""

_ABSOLUTE = re.compile(rb"https?://[^/?]*", re.IGNORECASE)


def name_of(target: bytes) -> bytes:
    """
    The name that a request's target asks for: its path, with C{%}-forms decoded, once.

    @raise NotFound: it is no path, or hides a C{/} in a C{%}-form.
    """
    path = target if target.startswith(b"/") else _ABSOLUTE.sub(b"", target, count=1)
    path = path.partition(b"?")[0]
    if not path.startswith(b"/") or b"%2f" in path.lower():
        raise NotFound("no such file")
    return unquote_to_bytes(path) if b"%" in path else path


def type_of(name: bytes) -> bytes:
    """The media type, by the name's ending."""
    return TYPES.get(name.rpartition(b".")[2].lower(), DEFAULT_TYPE)


@lru_cache(256)
def date(seconds: int) -> bytes:
    """Seconds since the epoch as HTTP writes them (RFC 9110 5.6.7)."""
    return formatdate(seconds, usegmt=True).encode("ascii")


@lru_cache(64)
def _status(version: bytes, status: int, now: int) -> bytes:
    """What an answer begins with; most answers of one second begin alike."""
    return b"%s %d %s\r\nServer: pybootd\r\nDate: %s" % (version, status, RESPONSES[status], date(now))


@lru_cache(256)
def _validators(etag: str | None, modified: int | None) -> tuple[bytes, ...]:
    """How clients tell one state of a file from another (RFC 9110 8.8)."""
    lines = []
    if etag is not None:
        lines.append(b'ETag: "%s"' % etag.encode("ascii"))
    if modified is not None:
        lines.append(b"Last-Modified: " + date(modified))
    return tuple(lines)


class FileRequest(Request):
    """
    A request and its answer.

    Neither arguments nor bodies nor cookies are looked at.
    """

    log = Logger()
    channel: Channel

    fields: Mapping[bytes, bytes]
    _gone = False
    _asked: Deferred[Content] | None = None
    _content: Content | None = None
    _mac = ""
    _name = b""
    _transfer = 0
    _begun = 0.0
    _sent = 0
    _reported = 0.0
    _pump: Pump | None = None

    def __init__(
        self, channel: Channel, queued: object = False, *, fields: Mapping[bytes, bytes] | None = None
    ) -> None:
        """
        Without what Twisted's keeps for programs that are not there: cookies, addresses, headers of the answer.

        @param fields: all of the header's; None: they are still to come.
        """
        self.channel = channel
        self.queued = False
        self.notifications: list[Deferred[None]] = []
        if fields is None:
            self.requestHeaders = Headers()
        else:
            self.fields = fields

    def gotLength(self, length: int | None) -> None:
        """There is no body: the channel refuses requests that have one."""

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        self.method, self.uri, self.clientproto = command, path, version
        self._name = path
        try:
            self.process()
        except Exception:
            self._break(Failure())

    def process(self) -> None:
        machine = self.channel.machine
        self._mac = "" if machine is None else machine.mac
        if self.method not in (b"GET", b"HEAD"):
            self._say(405, "Only GET and HEAD are served here", b"Allow: GET, HEAD")
            return
        refusal = self.channel.site.admit(self.channel.address)
        if refusal is not None:
            # a challenge belongs to it (RFC 9110 11.6.1), and the address is the only credential
            self._refuse(401, refusal, b'WWW-Authenticate: Address realm="pybootd"')
            return
        try:
            self._name = name_of(self.uri)
            self._publish(FileAsked, protocol="http", name=self._named)
            found = self.channel.site.resolver.resolve(self._name, machine)
        except ContentError as error:
            self._fail(error)
            return
        if isinstance(found, Content):
            self._found(found)
        else:
            self._asked = found
            found.addCallbacks(self._found, self._missing).addErrback(self._break)

    def connectionLost(self, reason: Failure) -> None:
        self._gone = True
        if self._asked is not None:
            self._asked.cancel()
        if self._pump is not None and self._pump.settling:
            return  # how it ended is still to be told
        if self._content is not None:
            self._done(GONE)
        super().connectionLost(reason)

    # What the resolver found

    def _found(self, content: Content) -> None:
        self._asked = None
        if self._gone:
            content.body.close()
            return
        conditions = Conditions(*map(self.fields.get, _CONDITIONAL))
        selection = select(content, conditions)
        head = self._head(selection.status, selection.length, self._description(content, selection))
        if self.method == b"HEAD" or selection.length == 0:
            content.body.close()
            self.channel.send(head)
            self.finish()
            return
        self._content = content
        self._begin(content, selection)
        self._deliver(head, content, selection)

    def _missing(self, failure: Failure) -> None:
        self._asked = None
        if self._gone:
            return
        if isinstance(failure.value, ContentError):
            self._fail(failure.value)
        else:
            self._break(failure)

    # The answer

    def _head(self, status: int, length: int | None, description: Iterable[bytes]) -> bytes:
        """
        A header, ready to be written.  All of its bytes are ours, or were checked where they came in.

        @param description: lines about what is sent.
        """
        self.startedWriting = 1
        lines = [_status(self.clientproto, status, int(self.channel.site.time())), *description]
        if length is not None and status != 304:
            lines.append(b"Content-Length: %d" % length)
        elif length is None and self.clientproto == b"HTTP/1.1" and self.method != b"HEAD":
            self.chunked = 1
            lines.append(b"Transfer-Encoding: chunked")
        if not self.channel.persistent:
            lines.append(b"Connection: close")
        lines.append(b"\r\n")
        return b"\r\n".join(lines)

    def _description(self, content: Content, selection: Selection) -> list[bytes]:
        """What there is to say about a file."""
        modified = None if content.modified is None else int(content.modified)
        lines = [*_validators(content.etag, modified)]
        if selection.status != 304:
            lines.append(b"Content-Type: " + type_of(self._name))
            if content.seekable and content.size is not None:
                lines.append(b"Accept-Ranges: bytes")
        if selection.range is not None:
            lines.append(b"Content-Range: " + selection.range)
        return lines

    def _deliver(self, head: bytes, content: Content, selection: Selection) -> None:
        """Send the body by the cheapest way that there is for it."""
        body, begin, end, length = content.body, selection.begin, selection.end, selection.length
        if length is not None and length <= SMALL:
            try:
                data = body.read(begin, length)
            except ContentError as error:
                self._done(str(error))
                return
            if data is not None:
                self.channel.send(head + data)
                self._progress(len(data))
                self._done(None)
                return
        file = body.fileno()
        if file is not None and end is not None and sendfile.AVAILABLE and not self.channel.secure:
            self.channel.send(head, more=True)
            if self.channel.clear and end - begin <= sendfile.CHUNK:
                self.channel.site.outbox.put(self, Part(self.channel.transport.getHandle(), file, begin, end))
            else:
                self._begin_pump(file, begin, end)
        else:
            self.channel.write(head)
            stream = Stream(body, begin, end, self._write, self._done)
            self.registerProducer(stream, True)
            stream.resumeProducing()

    def left(self, part: Part, sent: int) -> None:
        """So much of a small part has left at once."""
        if self._content is None:
            return
        if sent:
            self._progress(sent)
        if part.begin + sent == part.end:
            self._done(None)
        else:
            self._begin_pump(part.file, part.begin + sent, part.end)

    def _begin_pump(self, file: int, begin: int, end: int) -> None:
        clear, self.channel.clear = self.channel.clear, True  # as it is when the pump has ended
        site, transport = self.channel.site, self.channel.transport
        self._pump = pump = Pump(
            site.reactor, transport, file, begin, end, self._pumped, self._done, site.in_thread, site.lender
        )
        self.channel.setTimeout(STALL)
        pump.start(self.channel, clear=clear)

    def stalled(self) -> None:
        """The channel tells that the client has taken nothing for L{STALL} seconds."""
        self._done(f"The client took nothing for {STALL:.0f} s")

    def _pumped(self, count: int) -> None:
        if not self._gone:
            self.channel.setTimeout(STALL)
        self._progress(count)

    def _write(self, data: bytes) -> None:
        self.write(data)
        self._progress(len(data))

    def _done(self, problem: str | None) -> None:
        """The transfer is over, in whatever way."""
        content, self._content = self._content, None
        if content is None:
            return
        self.channel.site.outbox.withdraw(self)
        content.body.close()
        self._tell_end(problem)
        if self._gone:
            return
        if self.producer is not None:
            self.unregisterProducer()
        if problem is None:
            self.finish()
        else:
            self.channel.transport.abortConnection()

    def _fail(self, error: ContentError) -> None:
        """Say that there is nothing to send."""
        if isinstance(error, Forbidden):
            self._refuse(403, str(error), setting=error.setting)
        elif isinstance(error, NotFound):
            self._publish(FileMissing, protocol="http", name=self._named, reason=str(error))
            self._say(404, f"File not found: {error}")
        else:
            self._transfer = self.channel.site.bus.number()
            self._tell_end(str(error))
            self._say(503, str(error))

    def _refuse(self, status: int, reason: str, *fields: bytes, setting: str = "") -> None:
        self._publish(Refused, message=f"HTTP {printable(self.uri)}", reason=reason, setting=setting)
        if self.fields.get(b"user-agent", b"").startswith(b"iPXE/"):
            # it shows no body of an error, but runs what it was given
            self._send(200, script(reason), b"Content-Type: text/plain; charset=utf-8")
        else:
            self._say(status, reason, *fields)

    def _break(self, failure: Failure) -> None:
        """A mistake of ours."""
        self.log.failure("HTTP request {target} failed", failure, target=printable(self.uri))
        if self._content is not None:
            self._done("The server failed")
        elif not (self._gone or self.startedWriting or self.finished):
            self._say(500, "The server failed")

    def _say(self, status: int, text: str, *fields: bytes) -> None:
        """Answer with a sentence."""
        self._send(status, f"{text}\n".encode("utf-8", "replace"), *fields, b"Content-Type: text/plain; charset=utf-8")

    def _send(self, status: int, body: bytes, *fields: bytes) -> None:
        head = self._head(status, len(body), fields)
        self.channel.send(head if self.method == b"HEAD" else head + body)
        self.finish()

    def finish(self) -> None:
        """As Twisted's, which would look for a header to write and for a log of its own."""
        if self.chunked:
            self.channel.write(b"0\r\n\r\n")
        self.finished = 1
        self._cleanup()

    # Events

    @property
    def _named(self) -> str:
        return self._name.decode("utf-8", "surrogateescape")

    def _publish(self, kind: type[Event], **fields: Any) -> None:
        site = self.channel.site
        site.bus.publish(kind(site.time(), self._mac, self.channel.address, **fields))

    def _begin(self, content: Content, selection: Selection) -> None:
        site = self.channel.site
        self._transfer = site.bus.number()
        self._begun = self._reported = site.reactor.seconds()
        self._publish(
            TransferBegun,
            protocol="http",
            transfer=self._transfer,
            name=self._named,
            source=content.source,
            size=content.size,
            detail="" if selection.range is None else selection.range.decode("ascii"),
        )

    def _progress(self, count: int) -> None:
        self._sent += count
        now = self.channel.site.reactor.seconds()
        if now - self._reported >= PROGRESS:
            self._reported = now
            self._publish(TransferProgress, transfer=self._transfer, sent=self._sent)

    def _tell_end(self, problem: str | None) -> None:
        about = {"protocol": "http", "transfer": self._transfer, "name": self._named, "sent": self._sent}
        if problem is None:
            seconds = self.channel.site.reactor.seconds() - self._begun
            self._publish(TransferEnded, seconds=seconds, retransmitted=0, **about)
        else:
            self._publish(TransferFailed, reason=problem, probe=False, **about)
