"""What a client's name means."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.names import normalise
from pybootd.errors import NotFound

MEANINGS: tuple[tuple[bytes, str], ...] = (
    (b"pxelinux.0", "pxelinux.0"),
    (b"/pxelinux.0", "pxelinux.0"),
    (b"//pxelinux.0", "pxelinux.0"),
    (b"./pxelinux.0", "pxelinux.0"),
    (b"/.//./pxelinux.0", "pxelinux.0"),
    (b"a//b", "a/b"),
    (b"a/./b", "a/b"),
    (b"boot/../pxelinux.0", "pxelinux.0"),
    (b"debian/amd64/../vmlinuz", "debian/vmlinuz"),
    (b"\\Boot\\BCD", "Boot/BCD"),
    (b"Boot\\x64/wim", "Boot/x64/wim"),
    (b"pxelinux.0\xff", "pxelinux.0"),
    (b"pxelinux.0\xff\xff", "pxelinux.0"),
    (b"a%2e%2e/b", "a%2e%2e/b"),
    (b"%2e%2e/b", "%2e%2e/b"),
    (b"a?b#c@d:e", "a?b#c@d:e"),
    (b"http://host/x", "http:/host/x"),
    (b"{filename}", "{filename}"),
    (b"[file]", "[file]"),
    (b"...", "..."),
    (b"..a", "..a"),
    (b"a..", "a.."),
    (b"\xe9", "\udce9"),
    ("\N{LATIN SMALL LETTER E WITH ACUTE}".encode(), "\N{LATIN SMALL LETTER E WITH ACUTE}"),
)

NOTHING = (
    b"",
    b"/",
    b"//",
    b".",
    b"./",
    b"..",
    b"../",
    b"../etc/passwd",
    b"/../etc/passwd",
    b"a/../../etc/passwd",
    b"./../etc/passwd",
    b"..\\etc\\passwd",
    b"a\\..\\..\\etc",
    b"..//etc",
    b"a/",
    b"a/.",
    b"a/b/..",
    b"a\\",
    b"a\0",
    b"a\0.txt",
    b"\0",
    b"\xff",
)


class NormaliseTests(SynchronousTestCase):
    """L{normalise} gives each name one meaning, below the root."""

    def test_meanings(self) -> None:
        """Each spelling means the file that firmware wants by it."""
        for name, meaning in MEANINGS:
            self.assertEqual(normalise(name), meaning, name)

    def test_nothing(self) -> None:
        """A name that leads out of the root, has a NUL or is a directory's is no file's."""
        for name in NOTHING:
            with self.assertRaises(NotFound, msg=name):
                normalise(name)

    def test_text(self) -> None:
        """A name may be text already."""
        self.assertEqual(normalise("/a/b"), "a/b")

    @given(st.one_of(st.binary(max_size=60), st.text("./\\a\0%\udcff", max_size=20)))
    def test_stays_below(self, name: bytes | str) -> None:
        """Whatever the name, its meaning has no component that goes up, none that is empty, and no NUL."""
        try:
            meaning = normalise(name)
        except NotFound:
            return
        parts = meaning.split("/")
        self.assertFalse({"", ".", ".."} & set(parts))
        self.assertNotIn("\0", meaning)
        self.assertEqual(normalise(meaning), meaning)
