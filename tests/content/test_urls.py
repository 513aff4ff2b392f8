"""How paths are joined to URLs."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.names import normalise
from pybootd.content.urls import is_url, joined, scheme, shown, within_path
from pybootd.errors import NotFound


class UrlTests(SynchronousTestCase):
    """A path changes an URL's path and nothing else."""

    def test_is_url(self) -> None:
        """An URL begins with a scheme and C{://}; paths do not."""
        self.assertTrue(is_url("http://mirror/debian"))
        self.assertTrue(is_url("HTTPS://mirror"))
        for path in ("/srv/tftp", "./root", "http:/x", "a://", "://x", "1http://x"):
            self.assertEqual(is_url(path), path == "a://", path)

    def test_scheme(self) -> None:
        """Schemes are compared in lower case."""
        self.assertEqual(scheme("HTTP://x/"), "http")

    def test_joined(self) -> None:
        """A path goes below the prefix, with or without its last C{/}, whatever letters it has."""
        self.assertEqual(joined("http://h/p/", "a/b"), "http://h/p/a/b")
        self.assertEqual(joined("http://h/p", "a b?c#d@e%f"), "http://h/p/a%20b%3Fc%23d%40e%25f")
        self.assertEqual(joined("http://h", "\udce9"), "http://h/%E9")

    def test_within_path(self) -> None:
        """Host and query are settled only where the path has begun and has not ended."""
        for url in ("http://h/", "https://h:1/p/q"):
            self.assertTrue(within_path(url), url)
        for url in ("http://", "http://h", "http://h/p?q=", "http://h/#f", "http://{x}/"):
            self.assertFalse(within_path(url), url)

    def test_shown(self) -> None:
        """Logs never have the password."""
        self.assertEqual(shown("https://me:secret@h:1/p@q"), "https://h:1/p@q")
        self.assertEqual(shown("https://h"), "https://h")

    @given(st.binary(min_size=1, max_size=60))
    def test_only_the_path(self, name: bytes) -> None:
        """No name changes host, port, user, query or fragment, or leaves the prefix; its letters arrive."""
        try:
            path = normalise(name)
        except NotFound:
            return
        parts = urlsplit(joined("http://user:word@host:8080/prefix", path))
        self.assertEqual((parts.scheme, parts.netloc), ("http", "user:word@host:8080"))
        self.assertEqual((parts.query, parts.fragment), ("", ""))
        self.assertTrue(parts.path.startswith("/prefix/"))
        self.assertNotIn("..", parts.path.split("/"))
        self.assertEqual(unquote_to_bytes(parts.path)[8:], path.encode("utf-8", "surrogateescape"))
