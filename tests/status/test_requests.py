"""Whatever is sent to the status site: an answer or a closed connection, and never an error of its own."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.boots import MAC
from tests.support.status import Status

PATHS = st.sampled_from(
    ("/", "/api/machines", f"/api/machines/{MAC}", "/api/leases", "/api/events", "/healthz", "/login", "/style.css")
)
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=30)
FIELDS = st.sampled_from(
    ("Host", "Origin", "Cookie", "Authorization", "Sec-Fetch-Site", "If-None-Match", "Content-Length", "Expect")
)
METHODS = st.sampled_from(("GET", "HEAD", "POST", "PUT", "BREW", "OPTIONS"))


class AnythingTests(SynchronousTestCase):
    """Requests that no browser makes."""

    def setUp(self) -> None:
        self.status = Status(token="open-sesame")
        self.status.story.boot()
        self.addCleanup(self.status.board.stop)

    def check(self, data: str) -> None:
        """These bytes do no harm."""
        visitor = self.status.visitor()
        visitor.say(data)
        said = visitor.heard()
        if not visitor.transport.disconnected:
            visitor.leave()
        self.assertNotRegex(said, r"\AHTTP/1\.1 5")
        self.assertEqual(self.flushLoggedErrors(), [])

    @given(METHODS, PATHS, WORDS, st.lists(st.tuples(FIELDS, WORDS), max_size=4), st.booleans())
    @example("GET", "/api/machines", "?limit=1", [("Host", "[::1"), ("Authorization", "Bearer \xff")], True)
    @example("POST", "/login", "", [("Origin", "http://[")], True)
    @example("POST", "/login", "", [("Origin", "http://localhost"), ("Content-Length", "0")], True)
    def test_requests(self, method: str, path: str, more: str, fields: list[tuple[str, str]], known: bool) -> None:
        """Any method, path and fields."""
        lines = [f"{method} {path}{more} HTTP/1.1", *(["Host: localhost"] if known else [])]
        lines += [f"{name}: {value}" for name, value in fields]
        self.check("\r\n".join([*lines, "", ""]))

    @given(st.binary(max_size=300))
    def test_bytes(self, data: bytes) -> None:
        """Any bytes at all."""
        self.check(data.decode("latin-1"))
