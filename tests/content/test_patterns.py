"""Patterns and values of C{[filters]}."""

from __future__ import annotations

from time import thread_time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.patterns import Value, compile_pattern
from pybootd.errors import NotFound

MATCHES = (
    ("pxelinux.0", "pxelinux.0"),
    ("*", ""),
    ("*", "a/b\nc"),
    ("*.cfg", "a/b.cfg"),
    ("pxelinux.cfg/*", "pxelinux.cfg/default"),
    ("a?c", "abc"),
    ("a*b*c", "aXbYbZc"),
    ("a*b*c", "abc"),
    ("*a*", "bab"),
    ("[x]", "[x]"),
    ("./boot", "boot"),
    ("/boot", "boot"),
    ("\\Boot\\*", "Boot/BCD"),
    ("a.b", "a.b"),
    ("**", "x"),
    ("a*?", "ab"),
)

MISSES = (
    ("pxelinux.0", "pxelinux.00"),
    ("pxelinux.0", "xpxelinux.0"),
    ("a.b", "axb"),
    ("a?c", "ac"),
    ("*.cfg", "a.cfg2"),
    ("a*b*c", "acb"),
    ("a*a", "a"),
    ("A", "a"),
    ("[ab]", "a"),
    ("a*?", "a"),
)


def slow_match(pattern: str, name: str) -> bool:
    """The definition, without any cleverness."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(slow_match(pattern[1:], name[skip:]) for skip in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and slow_match(pattern[1:], name[1:])


class PatternTests(SynchronousTestCase):
    """L{compile_pattern} knows C{*} and C{?} and nothing else."""

    def test_matches(self) -> None:
        """The whole name has to match; C{*} takes C{/} too."""
        for pattern, name in MATCHES:
            self.assertTrue(compile_pattern(pattern).fullmatch(name), (pattern, name))

    def test_misses(self) -> None:
        """Letters that mean something elsewhere are letters here."""
        for pattern, name in MISSES:
            self.assertFalse(compile_pattern(pattern).fullmatch(name), (pattern, name))

    @given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
    def test_definition(self, pattern: str, name: str) -> None:
        """It matches just what the plain definition matches."""
        self.assertEqual(bool(compile_pattern(pattern).fullmatch(name)), slow_match(pattern, name))

    def test_hostile_name(self) -> None:
        """No name makes a match slow; what others do on this host is not counted."""
        pattern = compile_pattern("*a*a*a*a*a*a*a*a*b")
        begun = thread_time()
        self.assertIsNone(pattern.fullmatch("a" * 20_000 + "c"))
        self.assertLess(thread_time() - begun, 1.0)


class ValueTests(SynchronousTestCase):
    """L{Value} is filled from variables, and knows what its variables must not leave."""

    def test_plain(self) -> None:
        """A value without variables is the file, anywhere."""
        value = Value.parse("/srv/boot/pxelinux.0")
        self.assertEqual(value.fill({}), "/srv/boot/pxelinux.0")
        self.assertIsNone(value.base)

    def test_filled(self) -> None:
        """Variables are put in; braces that they bring stay letters."""
        value = Value.parse("boot/{mac}/{filename}")
        self.assertEqual(value.names, ("mac", "filename"))
        self.assertEqual(value.fill({"mac": "m", "filename": "{uuid}"}), "boot/m/{uuid}")
        self.assertEqual(value.base, "boot/")

    def test_base(self) -> None:
        """The base is the directory before the first variable."""
        for text, base in (("{filename}", ""), ("x-{mac}", ""), ("/a/b-{mac}/c", "/a/"), ("./{mac}", "./")):
            self.assertEqual(Value.parse(text).base, base, text)

    def test_unknown(self) -> None:
        """A variable that is not known of this machine: there is no such file."""
        with self.assertRaises(NotFound) as caught:
            Value.parse("{hostname}.cfg").fill({"filename": "x"})
        self.assertIn("{hostname}", str(caught.exception))

    def test_indirect(self) -> None:
        """Brackets name a file that holds the name."""
        value = Value.parse("[ ./hosts/{mac} ]")
        self.assertTrue(value.indirect)
        self.assertEqual(value.fill({"mac": "m"}), "./hosts/m")

    def test_url(self) -> None:
        """What a variable brings into an URL is quoted; the administrator's own letters are not."""
        value = Value.parse("http://h/a%20b/{filename}")
        self.assertEqual(value.fill({"filename": "x?y/%2e"}), "http://h/a%20b/x%3Fy/%252e")
        self.assertEqual(Value.parse("http://h/x?y=z").fill({}), "http://h/x?y=z")

    def test_refused(self) -> None:
        """What cannot be meant is refused when the configuration is read."""
        for text in ("", "[]", "a{b", "a}b", "{{x}}", "http://{hostname}/x", "http://h{x}/y", "http://h/y?m={mac}"):
            with self.assertRaises(ValueError, msg=text):
                Value.parse(text)
