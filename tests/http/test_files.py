"""One request for one file."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.content import BytesBody, Content
from pybootd.content.local import LocalFiles
from pybootd.content.resolver import Resolver
from pybootd.errors import Forbidden, NotFound, SourceFailed
from pybootd.events import (
    FileAsked,
    FileMissing,
    Refused,
    TransferBegun,
    TransferEnded,
    TransferFailed,
    TransferProgress,
)
from pybootd.http import files
from pybootd.http.files import STALL, name_of, type_of
from pybootd.http.sendfile import Pump
from tests.support.http import CLIENT, Client, Server
from tests.support.tree import SECRET, Tree, open_descriptors

LARGE = bytes(range(256)) * 4096
"""One MiB, which takes the way of large files."""

DATE = "Thu, 01 Jan 1970 00:01:40 GMT"


class HttpCase(SynchronousTestCase):
    """A server for a tree, and a client."""

    def setUp(self) -> None:
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors leaked"))
        self.tree = Tree(self.mktemp())
        for name, data in (("small", b"0123456789"), ("large", LARGE), ("dir/x.efi", b"program"), ("empty", b"")):
            os.utime(self.tree.write(name, data), (100, 100))
        self.server = Server(Resolver("./root", self.tree.top, LocalFiles()))
        self.addCleanup(lambda: self.assertEqual(self.server.reactor.getDelayedCalls(), [], "timers left"))
        self.addCleanup(self.server.close)
        self.client = self.server.connect()

    def events(self, *kinds: type) -> list[Any]:
        return [event for event in self.server.events if isinstance(event, kinds)]


class GetTests(HttpCase):
    """GET and HEAD."""

    def test_small(self) -> None:
        """A file, with all that describes it."""
        reply = self.client.get("/small")
        self.assertEqual((reply.status, reply.body), (200, b"0123456789"))
        self.assertEqual(
            reply.fields,
            {
                "Server": "pybootd",
                "Date": "Tue, 14 Nov 2023 22:13:20 GMT",
                "Content-Length": "10",
                "ETag": f'"{100 * 10**9:x}-a"',
                "Last-Modified": DATE,
                "Content-Type": "application/octet-stream",
                "Accept-Ranges": "bytes",
            },
        )

    def test_large(self) -> None:
        """A large file is complete, and the connection goes on."""
        for _ in range(2):
            reply = self.client.get("/large")
            self.assertEqual((reply.status, reply.fields["Content-Length"]), (200, str(len(LARGE))))
            self.assertTrue(reply.body == LARGE)
        self.assertEqual(self.client.get("/small").body, b"0123456789")

    def test_middling(self) -> None:
        """What the socket takes in one call needs no pump, and is told of like any other."""
        self.patch(files, "Pump", None)
        for _ in range(2):
            reply = self.client.get("/large", Range="bytes=100000-169999")
            self.assertEqual(reply.fields["Content-Range"], f"bytes 100000-169999/{len(LARGE)}")
            self.assertTrue(reply.body == LARGE[100_000:170_000])
        self.assertEqual([event.sent for event in self.events(TransferEnded)], [70_000] * 2)

    def test_empty(self) -> None:
        """A file without bytes."""
        reply = self.client.get("/empty")
        self.assertEqual((reply.status, reply.fields["Content-Length"], reply.body), (200, "0", b""))

    def test_head(self) -> None:
        """HEAD says what GET would say, and sends no body; a GET on the same connection follows."""
        for name in ("/small", "/large", "/missing"):
            head = self.client.get(name, "HEAD")
            get = self.client.get(name)
            self.assertEqual((head.status, head.fields, head.body), (get.status, get.fields, b""))

    def test_pipelined(self) -> None:
        """Requests that arrive at once are answered in their order."""
        request = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
        self.client.send(b"".join(request % name for name in (b"small", b"large", b"missing", b"small")))
        self.assertEqual(self.client.reply().body, b"0123456789")
        self.assertTrue(self.client.reply().body == LARGE)
        self.assertEqual(self.client.reply().status, 404)
        self.assertEqual(self.client.reply().body, b"0123456789")

    def test_close(self) -> None:
        """The client may ask for the connection to end; HTTP/1.0 always does."""
        for options in ({"Connection": "close"}, {"version": "1.0"}):
            client = self.server.connect()
            self.assertTrue(client.get("/large", **options).body == LARGE)
            self.assertTrue(client.transport.disconnecting)

    def test_absolute_target(self) -> None:
        """A target with a host in it is ours all the same; nothing is fetched from there."""
        self.assertEqual(self.client.get("http://elsewhere:81/small?x").body, b"0123456789")

    def test_methods(self) -> None:
        """All other methods are refused, and say what is not."""
        for method in ("PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"):
            reply = self.client.get("/small", method)
            self.assertEqual((reply.status, reply.fields["Allow"]), (405, "GET, HEAD"), method)

    def test_types(self) -> None:
        """UEFI goes by the type; an ending is compared in lower case."""
        for name, expected in (
            (b"/a/bootx64.EFI", b"application/efi"),
            (b"/a.iso", b"application/vnd.efi-iso"),
            (b"/a.img", b"application/vnd.efi-img"),
            (b"/menu.ipxe", b"text/plain; charset=utf-8"),
            (b"/vmlinuz", b"application/octet-stream"),
            (b"/a.efi/b", b"application/octet-stream"),
            (b"/a.\xff", b"application/octet-stream"),
        ):
            self.assertEqual(type_of(name), expected, name)
        self.assertEqual(self.client.get("/dir/x.efi").fields["Content-Type"], "application/efi")


class RangeTests(HttpCase):
    """Parts and conditions, as a client sees them."""

    def test_part(self) -> None:
        """A part of a small file, and one of a large one."""
        reply = self.client.get("/small", Range="bytes=2-4")
        self.assertEqual((reply.status, reply.body, reply.fields["Content-Range"]), (206, b"234", "bytes 2-4/10"))
        reply = self.client.get("/large", Range="bytes=1000-900999")
        self.assertEqual((reply.status, reply.fields["Content-Length"]), (206, "900000"))
        self.assertTrue(reply.body == LARGE[1000:901000])

    def test_unsatisfiable(self) -> None:
        """Nothing behind the end."""
        reply = self.client.get("/small", Range="bytes=10-")
        self.assertEqual((reply.status, reply.body, reply.fields["Content-Range"]), (416, b"", "bytes */10"))

    def test_bomb(self) -> None:
        """A thousand ranges make no answer larger than the file."""
        reply = self.client.get("/small", Range="bytes=" + ",".join(["0-"] * 1000))
        self.assertEqual((reply.status, reply.body), (200, b"0123456789"))

    def test_current(self) -> None:
        """What the client has is not sent again."""
        etag = self.client.get("/large", "HEAD").fields["ETag"]
        for fields in ({"If_None_Match": etag}, {"If_Modified_Since": DATE}):
            reply = self.client.get("/large", **fields)
            self.assertEqual((reply.status, reply.body, reply.fields["ETag"]), (304, b"", etag))
            self.assertNotIn("Content-Length", reply.fields)
        self.assertEqual(self.client.get("/small").status, 200)

    def test_resume(self) -> None:
        """A download goes on if the file is still the same."""
        etag = self.client.get("/small", "HEAD").fields["ETag"]
        self.assertEqual(self.client.get("/small", Range="bytes=5-", If_Range=etag).body, b"56789")
        self.assertEqual(self.client.get("/small", Range="bytes=5-", If_Range='"other"').body, b"0123456789")


class NameTests(HttpCase):
    """Targets become names, once."""

    def test_names(self) -> None:
        """The path, decoded once; the query is none of our business."""
        for target, name in (
            (b"/a", b"/a"),
            (b"/a%20b?c=d", b"/a b"),
            (b"/a%2520b", b"/a%20b"),
            (b"/%zz%4", b"/%zz%4"),
            (b"//a", b"//a"),
            (b"/a#b", b"/a#b"),
            (b"/a+b;c", b"/a+b;c"),
            (b"HTTP://h/x?y", b"/x"),
            (b"/%ff\xff", b"/\xff\xff"),
        ):
            self.assertEqual(name_of(target), name, target)
        for target in (b"", b"a", b"*", b"http://h", b"/a%2fb", b"/a%2Fb", b"?x", b"http:/x"):
            with self.assertRaises(NotFound, msg=target):
                name_of(target)

    def test_traps(self) -> None:
        """What must not be served is 404, never 500, in every spelling."""
        targets = [f"/{name}" for name in self.tree.traps() if name.isascii() and "\0" not in name and len(name) < 4000]
        spellings = (
            "/../secret",
            "/dir/../../secret",
            "/..%2fsecret",
            "/%2e%2e/secret",
            "/%2e%2e%2fsecret",
            "/%252e%252e/secret",
            "/..\\secret",
            "/..%5csecret",
            "/%5c..%5c..%5csecret",
            "/..%c0%afsecret",
            "/%c0%ae%c0%ae/secret",
            "/../root-sibling/secret",
            "//etc/passwd",
            "/etc/passwd",
            "/file:///etc/passwd",
            "/small%00",
            "/small%00.efi",
            "/%00",
            "/small/",
            "/",
            "/.",
            "/dir",
            "/dir/",
            "/?x",
            "*",
        )
        for target in (*targets, *spellings):
            reply = self.client.get(target)
            self.assertEqual(reply.status, 404, target)
            self.assertNotIn(SECRET, reply.body)

    def test_machine(self) -> None:
        """Events name the machine that has the address."""
        machine = self.server.machines.see("52:54:00:12:34:56", 1.0)
        self.server.machines.settle(machine, CLIENT)
        self.client.get("/small")
        self.assertEqual({(event.mac, event.address) for event in self.server.events}, {("52:54:00:12:34:56", CLIENT)})


class EventTests(HttpCase):
    """What happened is told."""

    def test_small(self) -> None:
        """Asked, begun, ended, with one number."""
        self.client.get("/small", Range="bytes=2-4")
        asked, begun, ended = self.server.events
        assert isinstance(asked, FileAsked) and isinstance(begun, TransferBegun) and isinstance(ended, TransferEnded)
        self.assertEqual((asked.protocol, asked.name), ("http", "/small"))
        self.assertEqual((begun.size, begun.detail, begun.transfer), (10, "bytes 2-4/10", ended.transfer))
        self.assertEqual(begun.source, str(self.tree.root / "small"))
        self.assertEqual((ended.sent, ended.retransmitted), (3, 0))

    def test_large(self) -> None:
        """A long transfer reports its progress now and then."""
        self.client.send(b"GET /large HTTP/1.1\r\n\r\n")
        self.client.transport.flush()
        self.server.reactor.advance(1)
        self.client.receive()
        (progress,) = self.events(TransferProgress)
        (ended,) = self.events(TransferEnded)
        self.assertTrue(0 < progress.sent <= ended.sent)
        self.assertEqual((ended.sent, ended.seconds), (len(LARGE), 1))

    def test_missing(self) -> None:
        """A missing file is told with its reason."""
        self.client.get("/missing")
        (missing,) = self.events(FileMissing)
        self.assertEqual((missing.name, missing.reason), ("/missing", "no such file"))

    def test_head(self) -> None:
        """HEAD transfers nothing."""
        self.client.get("/small", "HEAD")
        self.assertEqual([type(event) for event in self.server.events], [FileAsked])

    def test_order(self) -> None:
        """Answers that the client does not take yet follow in order, by whatever way each of them goes."""
        middle = bytes(range(256)) * 200
        self.tree.write("middle", middle)
        names = ["middle"] * 8 + ["small", "large", "middle", "large", "small"]
        self.client.send(b"".join(b"GET /%s HTTP/1.1\r\n\r\n" % name.encode() for name in names))
        bodies = {"small": b"0123456789", "middle": middle, "large": LARGE}
        for name in names:
            reply = self.client.reply()
            self.assertEqual(reply.status, 200)
            self.assertTrue(reply.body == bodies[name], name)

    def test_disconnected(self) -> None:
        """A client that goes away in the middle: a failed transfer, and nothing left open."""
        self.client.send(b"GET /large HTTP/1.1\r\n\r\n")
        self.client.transport.flush()
        self.client.close()
        (failed,) = self.events(TransferFailed)
        self.assertEqual(failed.reason, "The client went away")
        self.assertEqual(self.server.reactor.writers, [])

    def test_disconnected_at_once(self) -> None:
        """Even before the header is out."""
        self.client.send(b"GET /large HTTP/1.1\r\n\r\n")
        self.client.close()
        self.assertEqual(len(self.events(TransferFailed)), 1)

    def lend(self, pump: Pump, connection: int, file: int, begin: int, end: int) -> EventTests:
        """Another process sends: this test."""
        self.pumps.append((pump, end - begin))
        return self

    def look(self) -> None:
        """It will answer."""

    def drop(self) -> None:
        """It gives up."""

    def test_disconnected_elsewhere(self) -> None:
        """
        Where another process sends, a client that goes away has the file if that process had sent all of it, though
        nobody here had heard so.
        """
        self.pumps: list[tuple[Pump, int]] = []
        self.server.site.lender = self
        for whole in (True, False):
            client = self.server.connect()
            client.send(b"GET /large HTTP/1.1\r\n\r\n")
            self.server.reactor.turn()
            client.transport.flush()
            client.close()
            self.assertEqual(len(self.events(TransferEnded, TransferFailed)), 1 - whole)
            pump, length = self.pumps.pop()
            if whole:
                pump.progressed(length)
                pump.ended("")
            else:
                pump.looked()
        ended, failed = self.events(TransferEnded, TransferFailed)
        self.assertEqual((ended.sent, failed.reason), (len(LARGE), "The client went away"))

    def test_expect(self) -> None:
        """The answer comes at once also to a client that would wait for leave to send a body that it has not."""
        self.assertEqual(self.client.get("/small", Expect="100-continue").status, 200)

    def test_small_file_became_shorter(self) -> None:
        """A small file that lost its end before it was read breaks the connection: no answer would be true."""

        def shorten(name: bytes, machine: object) -> Content:
            content = Resolver("./root", self.tree.top, LocalFiles()).resolve(name, None)
            assert isinstance(content, Content)
            os.truncate(self.tree.root / "small", 5)
            return content

        self.server.site.resolver.resolve = shorten  # type: ignore[method-assign]
        self.client.send(b"GET /small HTTP/1.1\r\n\r\n")
        self.assertTrue(self.client.transport.aborted)
        (failed,) = self.events(TransferFailed)
        self.assertIn("shorter", failed.reason)

    def test_stalled(self) -> None:
        """A client that takes nothing of a large file for a minute is given up; one that takes a little is not."""
        self.client.send(b"GET /large HTTP/1.1\r\n\r\n")
        for _ in range(3):
            self.client.transport.flush()
            self.server.reactor.turn()
            self.server.reactor.advance(STALL - 1)
            self.client.transport.theirs.recv(100_000)
        self.server.reactor.turn()
        self.assertEqual(self.events(TransferFailed), [])
        self.server.reactor.advance(STALL)
        (failed,) = self.events(TransferFailed)
        self.assertEqual(failed.reason, "The client took nothing for 60 s")
        self.assertTrue(self.client.transport.aborted)

    def test_refused(self) -> None:
        """An address that is not admitted gets 401 and the reason, for each request anew."""
        self.server.refusal = "192.0.2.7 has no lease here"
        reply = self.client.get("/small")
        self.assertEqual((reply.status, reply.body), (401, b"192.0.2.7 has no lease here\n"))
        self.assertIn("WWW-Authenticate", reply.fields)
        (refused,) = self.events(Refused)
        self.assertEqual((refused.message, refused.reason), ("HTTP /small", "192.0.2.7 has no lease here"))
        self.server.refusal = None
        self.assertEqual(self.client.get("/small").status, 200)


class WaitingBody(BytesBody):
    """A body whose bytes come when the test says so."""

    def __init__(self, data: bytes = b"") -> None:
        super().__init__(data)
        self.here = 0
        self.failure: Exception | None = None
        self.discarded = 0
        self.closed = 0
        self._ready: Any = None

    def read(self, offset: int, length: int) -> bytes | None:
        if self.failure is not None:
            raise self.failure
        return super().read(offset, length) if offset + length <= self.here or self.here == len(self._data) else None

    def wait(self, ready: Any) -> None:
        self._ready = ready

    def come(self, here: int) -> None:
        """So many bytes are here."""
        self.here = here
        self._ready()

    def fail(self) -> None:
        """The source breaks."""
        self.failure = SourceFailed("mirror broke off")
        self._ready()

    def discard(self, offset: int) -> None:
        self.discarded = offset

    def close(self) -> None:
        self.closed += 1


class OneAnswer:
    """A resolver that answers when the test says so."""

    def __init__(self) -> None:
        self.answer: Deferred[Content] = Deferred()

    def resolve(self, name: bytes, machine: object) -> Deferred[Content]:
        return self.answer


class SlowTests(SynchronousTestCase):
    """Files whose source takes its time."""

    def setUp(self) -> None:
        self.resolver = OneAnswer()
        self.server = Server(self.resolver)  # type: ignore[arg-type]
        self.addCleanup(self.server.close)
        self.client: Client = self.server.connect()

    def ask(self, *lines: str) -> None:
        self.client.send("\r\n".join(("GET /x HTTP/1.1", *lines, "", "")).encode())

    def answer(self, size: int | None, body: WaitingBody) -> None:
        self.resolver.answer.callback(Content("http://mirror/x", size, body, seekable=False))

    def test_streamed(self) -> None:
        """Bytes leave as they come; what has left is discarded."""
        body = WaitingBody(b"x" * 200_000)
        self.ask()
        self.answer(200_000, body)
        self.assertIn(b"Content-Length: 200000\r\n", self.client.receive())
        body.come(70_000)
        self.assertEqual((len(self.client.receive()), body.discarded), (65536, 65536))
        body.come(200_000)
        self.assertEqual((len(self.client.receive()), body.discarded, body.closed), (200_000 - 65536, 200_000, 1))
        self.assertFalse(self.client.transport.disconnecting)

    def test_pace(self) -> None:
        """While the client takes nothing, nothing is read for it; when it never does, it is given up."""
        body = WaitingBody(b"x" * 1_000_000)
        self.ask()
        self.answer(1_000_000, body)
        self.client.channel.pauseProducing()
        body.come(1_000_000)
        self.assertEqual(body.discarded, 0)
        self.client.channel.resumeProducing()
        self.assertEqual(len(self.client.receive().partition(b"\r\n\r\n")[2]), 1_000_000)

    def test_stalled_client(self) -> None:
        """A client that takes nothing for a minute is given up."""
        body = WaitingBody(b"x" * 1_000_000)
        self.ask()
        self.answer(1_000_000, body)
        self.client.channel.pauseProducing()
        self.server.reactor.advance(60)
        self.assertTrue(self.client.transport.aborted)
        self.assertEqual(body.closed, 1)

    def test_unknown_length(self) -> None:
        """A file of unknown length is sent in chunks, or to the end of the connection."""
        body = WaitingBody(b"abc")
        self.ask()
        self.answer(None, body)
        body.come(3)
        data = self.client.receive()
        self.assertIn(b"Transfer-Encoding: chunked\r\n", data)
        self.assertTrue(data.endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))

    def test_broken_source(self) -> None:
        """A source that breaks off breaks the connection, for the client must not take a part for the whole."""
        for size in (200_000, None):
            self.resolver.answer = Deferred()
            self.client = self.server.connect()
            body = WaitingBody(b"x" * 200_000)
            self.ask()
            self.answer(size, body)
            body.come(70_000)
            data = self.client.receive()
            body.fail()
            self.assertTrue(self.client.transport.aborted)
            self.assertEqual(body.closed, 1)
            self.assertNotIn(b"\r\n0\r\n\r\n", data + self.client.receive())

    def test_no_source(self) -> None:
        """A source that cannot be asked: 503 and the sentence."""
        self.ask()
        self.resolver.answer.errback(SourceFailed("mirror refuses connections"))
        reply = self.client.reply()
        self.assertEqual((reply.status, reply.body), (503, b"mirror refuses connections\n"))

    def test_forbidden(self) -> None:
        """A file that is not for this machine: 403 and the reason."""
        self.ask()
        self.resolver.answer.errback(Forbidden("not in [mac]"))
        reply = self.client.reply()
        self.assertEqual((reply.status, reply.body), (403, b"not in [mac]\n"))

    def test_forbidden_to_ipxe(self) -> None:
        """iPXE shows no body of an error: it gets a script that says why."""
        client = self.server.connect()
        client.send(b"GET /x HTTP/1.1\r\nUser-Agent: iPXE/1.21.1\r\n\r\n")
        self.resolver.answer.errback(Forbidden("not in [mac]"))
        reply = client.reply()
        self.assertEqual((reply.status, reply.body.split(b"\n")[0]), (200, b"#!ipxe"))
        self.assertIn(b"echo not in [mac]\n", reply.body)

    def test_client_leaves(self) -> None:
        """A client that does not wait takes its question back; an answer that comes too late is closed."""
        self.ask()
        cancelled: list[object] = []
        self.resolver.answer = Deferred(cancelled.append)
        client = self.server.connect()
        client.send(b"GET /x HTTP/1.1\r\n\r\n")
        client.close()
        self.assertEqual(len(cancelled), 1)

    def test_our_mistake(self) -> None:
        """A mistake of ours is logged, and told without any detail."""
        self.ask()
        self.resolver.answer.errback(ZeroDivisionError("secret detail"))
        reply = self.client.reply()
        self.assertEqual((reply.status, reply.body), (500, b"The server failed\n"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
