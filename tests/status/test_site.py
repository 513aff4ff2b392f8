"""The page and its files."""

from __future__ import annotations

import re
from importlib.resources import files

from twisted.trial.unittest import SynchronousTestCase

from pybootd.status.site import FILES
from tests.support.status import Status

STATIC = files("pybootd.status") / "static"


class PageTests(SynchronousTestCase):
    """What a browser loads."""

    def setUp(self) -> None:
        self.status = Status()

    def test_files(self) -> None:
        """Each file has its type."""
        types = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
        for name in FILES:
            answer = self.status.get(f"/{name}")
            self.assertEqual(answer.status, 200, name)
            self.assertIn(types[name.rpartition(".")[2]], answer.fields["Content-Type"], name)
            self.assertTrue(answer.body.strip(), name)
        self.assertIn("text/html", self.status.get("/").fields["Content-Type"])

    def test_kept(self) -> None:
        """A browser that has a file already is not sent it again."""
        etag = self.status.get("/app.js").fields["ETag"]
        answer = self.status.get("/app.js", If_None_Match=etag)
        self.assertEqual((answer.status, answer.body), (304, b""))

    def test_nothing_foreign(self) -> None:
        """The page names only files that are served here, and no other host."""
        for name in ("index.html", "login.html"):
            text = (STATIC / name).read_text()
            for place in re.findall(r'(?:href|src|action)="([^"#]+)"', text):
                self.assertEqual(self.status.get(place).status, 200, (name, place))
        for name in (*FILES, "index.html", "login.html"):
            text = (STATIC / name).read_text().replace("http://www.w3.org/", "")
            self.assertNotRegex(text, r"https?://|url\(|@import", name)

    def test_no_markup_from_text(self) -> None:
        """The scripts never make markup of text, and the page has no script or style of its own."""
        for name in FILES:
            if name.endswith(".js"):
                text = (STATIC / name).read_text()
                self.assertNotRegex(
                    text, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", name
                )
        for name in ("index.html", "login.html"):
            self.assertNotRegex((STATIC / name).read_text(), r"<script>|<style|\son\w+=|\sstyle=", name)
