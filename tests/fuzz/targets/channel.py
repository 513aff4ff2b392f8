"""A web server's connection: whatever is written to it, no secret comes out, nothing breaks, and it ends in time."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile

from pybootd.config import LimitsConfig
from pybootd.content.local import LocalFiles
from pybootd.content.resolver import Resolver
from pybootd.http.site import LINGER
from tests.fuzz.support import no_failures
from tests.support.http import Server
from tests.support.tree import SECRET, Tree

SEEDS = (
    b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD /small HTTP/1.0\r\n\r\nGET /missing HTTP/1.1\r\n\r\n",
    b'GET /small HTTP/1.1\r\nHost: x\r\nRange: bytes=1-2\r\nIf-None-Match: "x"\r\n\r\n',
    b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    b"GET /../secret HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"GET http://x/%2e%2e/secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
)

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_DEADLINE = LimitsConfig().header_time
_SIZES = (1, 7, 64, 4096)

_place = tempfile.mkdtemp(prefix="pybootd-fuzz-")
atexit.register(shutil.rmtree, _place, ignore_errors=True)
_tree = Tree(_place)
_tree.write("small", b"0123456789")
_tree.link("out", "../secret")
_RESOLVER = Resolver("./root", _tree.top, LocalFiles())


def one(data: bytes) -> None:
    """C{data} is the size of the pieces (1), and what is written."""
    size = _SIZES[(data[0] if data else 0) % len(_SIZES)] if len(data) < 600 else 4096
    with no_failures():
        server = Server(_RESOLVER)
        try:
            client = server.connect()
            written = b""
            for begin in range(0, len(data), size):
                if client.transport.disconnecting or client.transport.ours.fileno() < 0:
                    break
                client.send(data[begin : begin + size])
                written += client.receive()
            assert SECRET not in written
            assert b"500" not in _STATUS.findall(written), written[:200]
            server.reactor.advance(_DEADLINE)
            client.receive()
            server.reactor.advance(_DEADLINE + LINGER)
            assert client.transport.ours.fileno() < 0, "still open"
        finally:
            server.close()
        assert server.reactor.getDelayedCalls() == [], "a timer is left"
