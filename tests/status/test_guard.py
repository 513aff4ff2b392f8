"""Who may see the status site, and what another site's page may not do."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.config.reader import read
from pybootd.status.site import BODY, LINGER, TIMEOUT, TRIES
from tests.support.status import Status, Visitor

TOKEN = "open-sesame"
ORIGIN = "http://127.0.0.1:8067"


class HostTests(SynchronousTestCase):
    """DNS rebinding: a name of somebody else's that points here."""

    def test_own_names(self) -> None:
        """Addresses, localhost and the host's own names are this site."""
        status = Status(names=["bootserver"])
        for host in ("127.0.0.1:8067", "localhost", "LOCALHOST:8067", "[::1]:8067", "10.77.0.1", "bootserver:8067"):
            self.assertEqual(status.get("/api/machines", Host=host).status, 200, host)

    def test_other_names(self) -> None:
        """Other names, and what is no name, are not."""
        status = Status(names=["bootserver"])
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "a@localhost", "", "x:y"):
            for path in ("/", "/api/machines", "/healthz", "/login"):
                self.assertEqual(status.get(path, Host=host).status, 421, (host, path))


class ForeignTests(SynchronousTestCase):
    """Pages of other sites."""

    def test_script(self) -> None:
        """They cannot load anything from here; a link to here may be followed."""
        status = Status()
        for origin in ("cross-site", "same-site"):
            answer = status.get("/api/machines", Sec_Fetch_Site=origin, Sec_Fetch_Mode="no-cors")
            self.assertEqual(answer.status, 403)
            self.assertEqual(status.get("/", Sec_Fetch_Site=origin, Sec_Fetch_Mode="navigate").status, 200)
        self.assertEqual(status.get("/api/machines", Sec_Fetch_Site="same-origin").status, 200)

    def test_headers(self) -> None:
        """Every answer forbids frames, foreign scripts, guesses at its type, and lets nobody else read it."""
        status = Status(token=TOKEN)
        for path in ("/", "/login", "/healthz", "/api/machines", "/nothing", "/style.css"):
            fields = status.get(path).fields
            self.assertIn("default-src 'none'", fields["Content-Security-Policy"], path)
            self.assertIn("frame-ancestors 'none'", fields["Content-Security-Policy"], path)
            self.assertNotIn("unsafe", fields["Content-Security-Policy"], path)
            self.assertEqual(fields["X-Content-Type-Options"], "nosniff", path)
            self.assertEqual(fields["Cross-Origin-Resource-Policy"], "same-origin", path)
            self.assertNotIn("Access-Control-Allow-Origin", fields, path)

    def test_form(self) -> None:
        """A form of another site, or of nobody, logs nobody in."""
        status = Status(token=TOKEN)
        others = ("http://evil.example", "null", "", "http://127.0.0.1:80", "http://[evil", "//\xbc", f"{ORIGIN}@evil")
        for origin in others:
            answer = status.visitor().ask("POST", "/login", f"token={TOKEN}", Origin=origin)
            self.assertEqual(answer.status, 403, origin)
            self.assertNotIn("Set-Cookie", answer.fields)

    def test_nothing_changes(self) -> None:
        """Nothing but the login takes a POST."""
        status = Status()
        for path in ("/", "/api/machines", "/api/machines/x", "/api/leases", "/api/events", "/healthz", "/app.js"):
            for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
                self.assertEqual(status.visitor().ask(method, path).status, 405, (method, path))


class TokenTests(SynchronousTestCase):
    """A token keeps others out."""

    def setUp(self) -> None:
        self.status = Status(token=TOKEN)

    def test_without(self) -> None:
        """Without it nothing is told but that the server lives; the page leads to the login."""
        for path in (
            "/api/machines",
            "/api/machines/x",
            "/api/leases",
            "/api/events",
            "/metrics",
            "/app.js",
            "/nothing",
        ):
            answer = self.status.get(path)
            self.assertEqual((answer.status, answer.fields["WWW-Authenticate"]), (401, 'Bearer realm="pybootd"'), path)
        answer = self.status.get("/")
        self.assertEqual((answer.status, answer.fields["Location"]), (303, "/login"))
        self.assertEqual(self.status.get("/healthz").status, 200)

    def test_bearer(self) -> None:
        """A program says it with each request."""
        self.assertEqual(self.status.get("/api/machines", Authorization=f"Bearer {TOKEN}").status, 200)
        for word in (f"Bearer {TOKEN}x", "Bearer", f"Basic {TOKEN}", TOKEN, "Bearer \xff"):
            self.assertEqual(self.status.get("/api/machines", Authorization=word).status, 401, word)

    def test_guessed(self) -> None:
        """Wrong tokens and cookies are told so; soon none is looked at from there, and after a minute it is again."""
        right = f"Bearer {TOKEN}"
        for _ in range(2 * TRIES):
            self.assertEqual(self.status.get("/api/machines", Authorization=right).status, 200)
            self.assertEqual(self.status.get("/api/machines").status, 401)
        for number in range(TRIES):
            wrong = {"Authorization": f"Bearer x{number}"} if number % 2 else {"Cookie": f"pybootd=x{number}"}
            self.assertEqual(self.status.get("/api/machines", **wrong).status, 401)
        for path in ("/api/machines", "/metrics", "/"):
            answer = self.status.get(path, Authorization=right)
            self.assertEqual((answer.status, answer.fields["Retry-After"]), (429, "60"), path)
        self.assertEqual(self.status.get("/healthz", Authorization=right).status, 200)
        self.assertEqual(self.status.get("/api/machines").status, 401)
        self.status.reactor.advance(61)
        self.assertEqual(self.status.get("/api/machines", Authorization=right).status, 200)

    def test_no_token(self) -> None:
        """Where no token is needed, none is wrong."""
        status = Status()
        for _ in range(TRIES + 1):
            self.assertEqual(status.get("/api/machines", Authorization="Bearer x").status, 200)

    def test_login(self) -> None:
        """A person says it once; the cookie is not the token, and scripts and other sites do not get it."""
        answer = self.status.visitor().ask("POST", "/login", f"token={TOKEN}", Origin=ORIGIN)
        self.assertEqual((answer.status, answer.fields["Location"]), (303, "/"))
        cookie = answer.fields["Set-Cookie"]
        self.assertNotIn(TOKEN, cookie)
        for word in ("HttpOnly", "SameSite=strict", "Path=/"):
            self.assertIn(word, cookie)
        value = cookie.partition(";")[0]
        self.assertEqual(self.status.get("/", Cookie=value).status, 200)
        self.assertEqual(self.status.get("/api/machines", Cookie=value).status, 200)
        self.assertEqual(self.status.get("/api/machines", Cookie=value[:-1]).status, 401)
        self.assertEqual(Status(token="other").get("/api/machines", Cookie=value).status, 401)

    def test_wrong(self) -> None:
        """A wrong word is told so, and guessing ends soon."""
        for number in range(TRIES):
            answer = self.status.visitor().ask("POST", "/login", f"token=x{number}", Origin=ORIGIN)
            self.assertEqual(answer.status, 403)
            self.assertIn(b"not the token", answer.body)
        answer = self.status.visitor().ask("POST", "/login", f"token={TOKEN}", Origin=ORIGIN)
        self.assertEqual(answer.status, 429)
        self.status.reactor.advance(61)
        answer = self.status.visitor().ask("POST", "/login", f"token={TOKEN}", Origin=ORIGIN)
        self.assertEqual(answer.status, 303)

    def test_logout(self) -> None:
        """The cookie is taken away; not by a link."""
        answer = self.status.visitor().ask("POST", "/logout", Origin=ORIGIN)
        self.assertIn("pybootd=;", answer.fields["Set-Cookie"])
        self.assertEqual(self.status.get("/logout").status, 405)


FEW = 8
"""Connections, in place of the real number."""


def listen(visitor: Visitor) -> None:
    """It reads the live stream."""
    visitor.say("GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")


class CeilingTests(SynchronousTestCase):
    """What a visitor can cost."""

    def test_connections(self) -> None:
        """So many connections; where all are being answered one more is refused, and one that ends makes room."""
        status = Status(limits=f"status_connections = {FEW}")
        self.addCleanup(status.board.stop)
        visitors = [status.visitor() for _ in range(FEW)]
        for visitor in visitors:
            listen(visitor)
        self.assertTrue(status.visitor().refused)
        self.assertFalse(any(visitor.transport.aborted for visitor in visitors))
        visitors[0].leave()
        self.assertFalse(status.visitor().refused)

    def test_other_ceilings(self) -> None:
        """Another configuration has other ceilings, for who comes from now on."""
        status = Status(limits="status_connections = 2\nstatus_readers = 1")
        self.addCleanup(status.board.stop)
        for _ in range(2):
            listen(status.visitor())
        self.assertEqual(len(status.board.feed), 1)
        status.board.configure(read("[limits]\nstatus_connections = 4\nstatus_readers = 3\n", dhcp=False))
        for _ in range(4):
            listen(status.visitor())
        self.assertEqual(len(status.board.feed), 3)

    def test_idle_connections(self) -> None:
        """One more takes the place of who never asked, the oldest first; then of who waits between two requests."""
        status = Status(limits=f"status_connections = {FEW}")
        self.addCleanup(status.board.stop)
        visitors = [status.visitor() for _ in range(FEW)]
        visitors[0].get("/healthz")
        for visitor in visitors[3:]:
            listen(visitor)
        for gone in ([1], [1, 2], [0, 1, 2]):
            listen(status.visitor())
            aborted = [place for place, visitor in enumerate(visitors) if visitor.transport.aborted]
            self.assertEqual(aborted, gone)
        visitors[1].leave()
        self.assertTrue(status.visitor().refused)

    def test_dripping(self) -> None:
        """A request has a deadline as a whole, which no byte of it moves; neither in its header nor in its form."""
        form = "POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: 99\r\n\r\n"
        for begun in ("GET / HTTP/1.1\r\nX: ", form):
            status = Status(token=TOKEN)
            visitor = status.visitor()
            visitor.get("/healthz")
            visitor.say(begun)
            for _ in range(TIMEOUT // 5):
                visitor.say("x")
                status.reactor.advance(5)
            self.assertTrue(visitor.transport.aborted, begun)

    def test_rest_of_answer(self) -> None:
        """Who waits between two requests is left once it has what is being sent, or has taken nothing of it."""
        status = Status()
        visitor = status.visitor()
        visitor.get("/healthz")
        status.reactor.advance(TIMEOUT)
        self.assertTrue(visitor.transport.disconnecting)
        self.assertFalse(visitor.transport.aborted)
        status.reactor.advance(LINGER)
        self.assertTrue(visitor.transport.aborted)

    def test_kind_of_body(self) -> None:
        """A form is one of the plain kind; whatever else a body says that it is, it is none, and does no harm."""
        for kind, status in {
            "application/x-www-form-urlencoded": 303,
            "Application/X-WWW-Form-Urlencoded; charset=utf-8": 303,
            "ap-form-url\x1cencoded": 403,
            "application/x-www-form-urlencoded\x0b": 303,
            "multipart/form-data; boundary=\x85": 403,
            "multipart/form-data": 403,
            "\xff": 403,
            "": 403,
        }.items():
            visitor = Status(token=TOKEN).visitor()
            head = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:8067\r\nOrigin: {ORIGIN}\r\nContent-Type: {kind}\r\n"
            body = f"token={TOKEN}"
            visitor.say(f"{head}Content-Length: {len(body)}\r\n\r\n{body}")
            self.assertIn(f"HTTP/1.1 {status}", visitor.heard(), kind)

    def test_large_form(self) -> None:
        """A large body, or one without an end, is not read."""
        for fields in (f"Content-Length: {BODY + 1}", "Transfer-Encoding: chunked"):
            visitor = Status(token=TOKEN).visitor()
            visitor.say(f"POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n{fields}\r\n\r\n")
            self.assertIn("HTTP/1.1 413", visitor.heard())
            self.assertTrue(visitor.transport.disconnecting)

    def test_silent_visitor(self) -> None:
        """Somebody who says nothing is left."""
        status = Status()
        visitor = status.visitor()
        visitor.say("GET / HT")
        status.reactor.pump([10.0] * 10)
        self.assertTrue(visitor.transport.disconnecting)
