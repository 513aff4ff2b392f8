"""Headers that come in one piece mean what they mean line by line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.local import LocalFiles
from pybootd.content.resolver import Resolver
from pybootd.http.header import Header, plain
from tests.support.http import Server
from tests.support.tree import Tree

LINE = b"GET /small HTTP/1.1\r\n"

LINES = st.sampled_from(
    [
        *(b"Host: x", b"Range: bytes=1-2", b"range:bytes=3-", b"RANGE: \tbytes=-1 ", b"Connection: close", b"X:"),
        *(b"connection: keep-alive, Close", b"If-None-Match: *", b"Expect: 100-continue", b"User-Agent: iPXE/1.0"),
        *(b"Content-Length: 0", b"Content-Length: 5", b"content-length: x", b"Transfer-Encoding: chunked"),
        *(
            b" folded",
            b"\tfolded",
            b"A b: c",
            b"A : c",
            b": c",
            b"no colon",
            b"A: \x00",
            b"A: \xe9",
            b"A: b\rc",
            b"A: b\nc",
        ),
        *(b"", b"GET /small HTTP/1.1", b"Last: one"),
    ]
)
REQUESTS = st.sampled_from(
    [
        *(LINE[:-2], b"HEAD /small HTTP/1.1", b"GET /small HTTP/1.0", b"GET /missing?a HTTP/1.1", b"GET * HTTP/1.1"),
        *(
            b"GET  /small HTTP/1.1",
            b"GET /small",
            b"get /small HTTP/1.1",
            b"GET /\xc3\xa4 HTTP/1.1",
            b"GET /small HTTP/2.0",
        ),
        *(b"", b"POST /small HTTP/1.1", b"GET http://x/small HTTP/1.1", b"GET /sm all HTTP/1.1", b"GET /\x7f HTTP/1.1"),
    ]
)


class PlainTests(SynchronousTestCase):
    """What is read in one go."""

    def test_request(self) -> None:
        """All that a request says, whatever the spaces and the case."""
        data = b"HEAD /a%20b?c HTTP/1.0\r\nhost: x:80\r\nRange:\t bytes=0-1 \r\nA:\r\n\r\n"
        fields = {b"host": b"x:80", b"range": b"bytes=0-1", b"a": b""}
        self.assertEqual(plain(data, 3), Header(b"HEAD", b"/a%20b?c", b"HTTP/1.0", fields))

    def test_no_fields(self) -> None:
        """There need be none."""
        self.assertEqual(plain(LINE + b"\r\n", 0), Header(b"GET", b"/small", b"HTTP/1.1", {}))

    def test_repeated(self) -> None:
        """Of several of one name the last counts."""
        header = plain(LINE + b"A: 1\r\na: 2\r\n\r\n", 9)
        assert header is not None
        self.assertEqual(header.fields, {b"a": b"2"})

    def test_others(self) -> None:
        """What is not plain, not whole or more than one is left to the parser that goes line by line."""
        for data in (
            *(b"", b"\r\n", LINE, LINE + b"Host: x\r\n", LINE + b"\r\nG", LINE + b"\r\n" + LINE + b"\r\n"),
            *(LINE + b" a\r\n\r\n", LINE + b"A : b\r\n\r\n", LINE + b"A: \x00\r\n\r\n", LINE + b"A: b\n\r\n\r\n"),
            *(b"PUT /small HTTP/1.1\r\n\r\n", b"GET /a b HTTP/1.1\r\n\r\n", b"GET /\x80 HTTP/1.1\r\n\r\n"),
            LINE + b"Content-Length: 0\r\n\r\n",
            LINE + b"TRANSFER-ENCODING: identity\r\n\r\n",
        ):
            self.assertIsNone(plain(data, 9), data)

    def test_many(self) -> None:
        """So is one that has too many fields."""
        self.assertIsNotNone(plain(LINE + b"A: b\r\n" * 9 + b"\r\n", 9))
        self.assertIsNone(plain(LINE + b"A: b\r\n" * 10 + b"\r\n", 9))


class SameTests(SynchronousTestCase):
    """There is no telling how a header was read."""

    def setUp(self) -> None:
        tree = Tree(self.mktemp())
        tree.write("small", b"0123456789")
        self.resolver = Resolver("./root", tree.top, LocalFiles())

    def answer(self, *pieces: bytes) -> tuple[bytes, bool]:
        """What comes back, and whether the connection is to end."""
        server = Server(self.resolver)
        try:
            client = server.connect()
            for piece in pieces:
                if not client.transport.disconnecting:
                    client.send(piece)
            return client.receive(), client.transport.ours.fileno() < 0
        finally:
            server.close()

    @given(REQUESTS, st.lists(LINES, max_size=5))
    def test_pieces(self, request: bytes, lines: list[bytes]) -> None:
        """In one piece, in two and byte by byte it is answered alike."""
        data = b"\r\n".join((request, *lines, b"", b""))
        whole = self.answer(data)
        self.assertEqual(self.answer(data[:7], data[7:]), whole, data)
        self.assertEqual(self.answer(*(bytes([byte]) for byte in data)), whole, data)

    @given(st.lists(REQUESTS, min_size=2, max_size=3))
    def test_pipelined(self, requests: list[bytes]) -> None:
        """One after the other they are answered as they are all together."""
        each = [request + b"\r\nHost: x\r\n\r\n" for request in requests]
        self.assertEqual(self.answer(*each), self.answer(b"".join(each)), each)
