"""Asking remote servers."""

from __future__ import annotations

import sys
from typing import Any
from unittest.mock import patch

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived

from pybootd.content.fetch import DRAINED, Answer, Patience, require_tls
from pybootd.errors import EnvironmentProblem, SourceFailed
from tests.support.web import FakeFetcher, Internet

PATIENCE = Patience(connect=1, answer=10, stall=5, body=100)


class Sink:
    """Takes a body."""

    def __init__(self) -> None:
        self.data = b""
        self.end: list[SourceFailed | None] = []

    def received(self, data: bytes) -> None:
        self.data += data

    def ended(self, failure: SourceFailed | None) -> None:
        self.end.append(failure)


class FetchCase(SynchronousTestCase):
    """A fetcher and the Internet that it sees."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.internet = Internet()
        self.fetcher = FakeFetcher(self.clock, self.internet, connections=2, patience=PATIENCE)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), [], "timers left"))

    def get(self, url: str = "http://mirror/x", **fields: str) -> Deferred[Answer]:
        return self.fetcher.get(url, fields)

    def failure(self, asked: Deferred[Answer]) -> str:
        return str(self.failureResultOf(asked, SourceFailed).value)


class GetTests(FetchCase):
    """L{Fetcher.get} brings an answer or says in a sentence why there is none."""

    def test_answer(self) -> None:
        """The header is there as soon as it has come, and the body as it comes."""
        asked = self.get(Range="bytes=5-")
        request = self.internet.request()
        self.assertEqual((request.url, request.fields["Range"]), ("http://mirror/x", "bytes=5-"))
        self.assertEqual(request.fields["Accept-Encoding"], "identity")
        self.assertTrue(request.fields["User-Agent"].startswith("pybootd/"))
        response = request.answer(206, length=6, ETag='"e"')
        answer = self.successResultOf(asked)
        self.assertEqual((answer.status, answer.size, answer.host), (206, 6, "mirror"))
        self.assertEqual((answer.header("etag"), answer.header("Nothing")), ('"e"', None))
        sink = Sink()
        answer.deliver(sink)
        response.send(b"abc")
        self.assertEqual((sink.data, sink.end), (b"abc", []))
        response.send(b"def")
        response.finish()
        self.assertEqual((sink.data, sink.end), (b"abcdef", [None]))

    def test_failures(self) -> None:
        """Each way in which a server cannot be had has its sentence."""
        for problem, sentence in (
            (error.DNSLookupError("x"), "mirror is not known to the name server"),
            (error.ConnectionRefusedError(), "mirror refuses connections"),
            (error.TimeoutError(), "mirror does not answer"),
            (error.NoRouteError(), "mirror cannot be reached"),
            (
                ResponseNeverReceived([Failure(error.ConnectionDone())]),
                "mirror closed the connection without an answer",
            ),
            (
                SSL.Error([("SSL routines", "", "certificate verify failed")]),
                "mirror cannot be trusted: certificate verify failed",
            ),
            (ValueError("some\nthing"), "mirror failed: some\\x0athing"),
        ):
            asked = self.get()
            self.internet.request().fail(problem)
            self.assertEqual(self.failure(asked), sentence)

    def test_silent(self) -> None:
        """A server that does not answer in time is given up."""
        asked = self.get()
        self.clock.advance(10)
        self.assertEqual(self.failure(asked), "mirror does not answer")

    def test_no_url(self) -> None:
        """What cannot be fetched is refused in a sentence, without its password."""
        for url in ("ftp://h/x", "http:///x", "http://h:port/x", "http://u:secret@[h/x", "http://h/\xe9"):
            sentence = self.failure(self.get(url))
            self.assertNotIn("secret", sentence)
            self.assertEqual(self.internet.requests, [])

    def test_ceiling(self) -> None:
        """No more answers than agreed are under way at once; who waits is served when one is over."""
        first, second, third = self.get(), self.get(), self.get()
        self.assertEqual(len(self.internet.requests), 2)
        self.internet.request().answer(200, b"")
        self.successResultOf(first).deliver(Sink())
        self.assertEqual(len(self.internet.requests), 2)
        self.internet.request().fail(error.TimeoutError())
        self.internet.request().answer(404, b"")
        self.failureResultOf(second, SourceFailed)
        self.successResultOf(third).drop()

    def test_cancelled(self) -> None:
        """Who no longer wants the answer frees its place."""
        for _ in range(4):
            asked = self.get()
            asked.cancel()
            self.failureResultOf(asked, SourceFailed)

    def test_reused_connection(self) -> None:
        """A kept connection that turns out to be closed is no failure: the next one is tried."""
        agent = FakeFetcher.agent
        reused = [True, False]

        def kept(fetcher: FakeFetcher, hop: Any) -> Any:
            made = agent(fetcher, hop)
            request = made.request

            def ask(*args: Any) -> Deferred[Any]:
                answered = request(*args)
                hop.reused = reused.pop(0)
                return answered

            made.request = ask
            return made

        self.patch(FakeFetcher, "agent", kept)
        asked = self.get()
        self.internet.request().fail(ResponseNeverReceived([Failure(error.ConnectionDone())]))
        self.internet.request().answer(200, b"")
        self.successResultOf(asked).drop()

    def test_password(self) -> None:
        """User and password of an URL go to its server, and are shown to nobody."""
        asked = self.get("https://me:pa%3Ass@mirror:8443/x")
        request = self.internet.request()
        self.assertEqual(request.url, "https://mirror:8443/x")
        self.assertEqual(request.fields["Authorization"], "Basic bWU6cGE6c3M=")
        request.answer(200, b"")
        answer = self.successResultOf(asked)
        self.assertEqual(answer.url, "https://mirror:8443/x")
        answer.drop()


class RedirectTests(FetchCase):
    """Redirects are followed within reason."""

    def redirect(self, location: str, code: int = 302) -> None:
        self.internet.request().answer(code, b"", Location=location)

    def test_followed(self) -> None:
        """To another path, to another server, from http to https."""
        asked = self.get("http://mirror/a/b")
        self.redirect("../c")
        self.redirect("https://other/d", 308)
        request = self.internet.request()
        self.assertEqual(request.url, "https://other/d")
        request.answer(200, b"")
        answer = self.successResultOf(asked)
        self.assertEqual((answer.url, answer.host), ("https://other/d", "other"))
        answer.drop()
        self.assertTrue(self.internet.connections[0].aborted)

    def test_endless(self) -> None:
        """A circle is left after a few turns."""
        asked = self.get()
        for _ in range(6):
            self.redirect("http://mirror/x")
        self.assertEqual(self.failure(asked), "mirror redirects without end")

    def test_downgrade(self) -> None:
        """Never from https to http."""
        asked = self.get("https://mirror/x")
        self.redirect("http://mirror/x")
        self.assertIn("from https to http", self.failure(asked))

    def test_other_schemes(self) -> None:
        """Never to anything but http and https."""
        for location in ("file:///etc/passwd", "gopher://h/x", "http://[x/"):
            asked = self.get()
            self.redirect(location)
            self.failure(asked)
            self.assertEqual(self.internet.requests, [], location)

    def test_private(self) -> None:
        """Never from the Internet to a private network, whatever its name says; not even a request gets out."""
        for address in ("127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "::1", "fe80::1", "::ffff:10.0.0.1"):
            self.internet.addresses["inside"] = address
            asked = self.get()
            self.redirect("http://inside/metadata")
            self.assertIn("private network", self.failure(asked), address)
            self.assertEqual(self.internet.requests, [], address)
            self.assertTrue(self.internet.connections[-1].aborted, address)

    def test_private_root(self) -> None:
        """A server on a private network may redirect to others there, and to the Internet."""
        self.internet.addresses.update(mirror="192.168.1.1", inside="192.168.1.2")
        asked = self.get()
        self.redirect("http://inside/x")
        self.redirect("http://public/x")
        self.internet.request().answer(200, b"")
        self.successResultOf(asked).drop()

    def test_password(self) -> None:
        """The password goes to its own server only."""
        asked = self.get("http://me:secret@mirror/x")
        self.redirect("/y")
        request = self.internet.request()
        self.assertIn("Authorization", request.fields)
        request.answer(302, b"", Location="http://other/z")
        request = self.internet.request()
        self.assertNotIn("Authorization", request.fields)
        request.answer(200, b"")
        self.successResultOf(asked).drop()


class AnswerTests(FetchCase):
    """A body is read at its receiver's pace, and bounded in time."""

    def begin(self, length: int | None = 10) -> None:
        asked = self.get()
        self.response = self.internet.request().answer(200, length=length)
        self.answer = self.successResultOf(asked)
        self.sink = Sink()
        self.answer.deliver(self.sink)

    def end(self) -> str:
        (failure,) = self.sink.end
        return str(failure)

    def test_broken(self) -> None:
        """A body that ends too soon says how much came."""
        self.begin()
        self.response.send(b"abc")
        self.response.break_off()
        self.assertEqual(self.end(), "mirror broke off after 3 of 10 bytes")

    def test_unknown_length(self) -> None:
        """Where no length was said, the end of the connection is the end of the body; a broken one is not."""
        self.begin(None)
        self.response.end_by_closing()
        self.assertEqual(self.sink.end, [None])
        self.begin(None)
        self.response.break_off()
        self.assertEqual(self.end(), "mirror broke off after 0 bytes")
        self.begin(None)
        self.response.send(b"abc")
        self.answer._hop.broke(Failure(error.ConnectionLost()))  # Twisted tells of both in the same way
        self.response.end_by_closing()
        self.assertEqual(self.end(), "mirror broke off after 3 bytes")

    def test_stalled(self) -> None:
        """A server that falls silent in the middle is given up."""
        self.begin()
        self.clock.advance(4)
        self.response.send(b"abc")
        self.clock.advance(4)
        self.assertEqual(self.sink.end, [])
        self.clock.advance(1)
        self.assertEqual(self.end(), "mirror stalled after 3 of 10 bytes")
        self.assertTrue(self.response.connection.aborted)

    def test_dripping(self) -> None:
        """One that drips for ever is given up too."""
        self.begin(1000)
        for _ in range(25):
            self.response.send(b".")
            self.clock.advance(4)
        self.assertEqual(self.end(), "mirror took too long")

    def test_paused(self) -> None:
        """While the receiver has enough, the server is not to blame."""
        self.begin()
        self.answer.pause()
        self.assertTrue(self.response.connection.paused)
        self.clock.advance(50)
        self.assertEqual(self.sink.end, [])
        self.answer.resume()
        self.assertFalse(self.response.connection.paused)
        self.clock.advance(5)
        self.assertIn("stalled", self.end())

    def test_paused_at_once(self) -> None:
        """A receiver that has enough with the first bytes is heard, though they come with the header."""
        asked = self.get()
        response = self.internet.request().answer(200, length=10)
        answer = self.successResultOf(asked)
        response.send(b"abc")
        sink = Sink()
        sink.received = lambda data: answer.pause()  # type: ignore[method-assign]
        deliver = response.deliverBody

        def resuming(protocol: Any) -> None:
            deliver(protocol)
            response.connection.resumeProducing()  # as Twisted does

        response.deliverBody = resuming  # type: ignore[method-assign]
        answer.deliver(sink)
        self.assertTrue(response.connection.paused)
        answer.drop()

    def test_dropped(self) -> None:
        """A body that nobody wants any more ends its connection, and tells nobody."""
        self.begin()
        self.answer.drop()
        self.answer.drop()
        self.response.send(b"more")
        self.assertTrue(self.response.connection.aborted)
        self.assertEqual((self.sink.data, self.sink.end), (b"", []))

    def test_dropped_unread(self) -> None:
        """A small body that nobody wanted is read, for its connection's sake; a large one is not."""
        for length, aborted in ((9, False), (DRAINED + 1, True), (None, True)):
            asked = self.get()
            response = self.internet.request().answer(404, length=length)
            self.successResultOf(asked).drop()
            self.assertEqual(response.connection.aborted, aborted, length)
            if not aborted:
                response.send(b"not found")
                response.finish()


class TlsTests(SynchronousTestCase):
    """TLS is an extra."""

    def test_required(self) -> None:
        """Where its libraries are missing, the message says what to install."""
        require_tls("x")
        with patch.dict(sys.modules, {"OpenSSL": None}), self.assertRaises(EnvironmentProblem) as caught:
            require_tls("[httpd] root")
        self.assertIn("pybootd[tls]", str(caught.exception))
