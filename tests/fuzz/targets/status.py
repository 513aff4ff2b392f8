"""The status site, from a visitor without the token: nothing of any machine comes out, and nothing breaks."""

from __future__ import annotations

import re

from pybootd.status.guard import HEADERS
from tests.fuzz.support import no_failures
from tests.support.boots import MAC
from tests.support.status import Status

HOSTNAME = b"known-to-few"
HEAD = b" HTTP/1.1\r\nHost: 127.0.0.1:8067\r\n"
SEEDS = (
    b"GET /api/machines" + HEAD + b"\r\n",
    b"GET /api/machines" + HEAD + b"Authorization: Bearer open\r\nCookie: pybootd=x; a=b\r\n\r\n",
    b"GET /api/events?machine=" + MAC.encode() + HEAD + b"Last-Event-ID: 1\r\nAccept: text/event-stream\r\n\r\n",
    b"GET /style.css" + HEAD + b'If-None-Match: "x"\r\nRange: bytes=0-1\r\n\r\n',
    b"GET /healthz HTTP/1.1\r\nHost: [::1]:8067\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n\r\n",
    b"POST /login" + HEAD + b"Origin: http://127.0.0.1:8067\r\nContent-Length: 7\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\ntoken=x",
    b"POST /logout" + HEAD + b"Origin: http://[evil\r\nContent-Length: 0\r\n\r\n",
)

_STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3}) ", re.MULTILINE)


def one(data: bytes) -> None:
    """C{data} is what the visitor writes."""
    data = data.replace(HOSTNAME, b"")
    with no_failures():
        status = Status(token="sesame-of-forty-thieves")
        status.story.leased(hostname=HOSTNAME.decode())
        visitor = status.visitor()
        visitor.say(data.decode("latin-1"))
        written = visitor.transport.value()
        visitor.leave()
        status.reactor.advance(3600)
        written += visitor.transport.value()
    assert HOSTNAME not in written, "something of a machine"
    assert b"500" not in _STATUS.findall(written), written[:300]
    assert b"set-cookie: pybootd=" not in written.lower() or b"max-age=0" in written.lower(), (
        "a login without the token"
    )
    if b" 200 " in written[:20]:
        for name in HEADERS:
            assert name.lower() in written.lower(), name
