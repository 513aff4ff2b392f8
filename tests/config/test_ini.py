"""An INI file keeps its order, its lines and its mistakes."""

from __future__ import annotations

from configparser import Error, RawConfigParser

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.config.ini import parse

Row = tuple[str, list[tuple[int, str, str]]]


def rows(text: bytes | str) -> list[Row]:
    """Sections by name, and their options as (line, name, text)."""
    return [
        (section.name, [(entry.origin.line, entry.name, entry.text) for entry in section.entries])
        for section in parse(text, "x.ini").sections
    ]


def problems(text: bytes | str) -> list[str]:
    """The finished lines."""
    return [str(problem) for problem in parse(text, "x.ini").problems]


class ParseTests(SynchronousTestCase):
    """L{parse} reads as configparser does, and forgets nothing."""

    def test_lines(self) -> None:
        """Each option has the line on which it stands, blank and comment lines counted."""
        text = "; one\n\n[bootpd]\n# four\npool_start = 1\n\n[mac]\nA = b\n"
        self.assertEqual(rows(text), [("bootpd", [(5, "pool_start", "1")]), ("mac", [(8, "A", "b")])])

    def test_section_lines(self) -> None:
        """A section's own line is known, and its name as it was written."""
        self.assertEqual(str(parse("\n[Boot  PD]\n", "x.ini").sections[0].origin), "x.ini:2: [Boot  PD]")

    def test_case(self) -> None:
        """Sections are in lower case, options as they were written: some are names of files."""
        self.assertEqual(rows("[HOST AA-BB]\nVar.Name = X\n"), [("host aa-bb", [(2, "Var.Name", "X")])])

    def test_only_equals(self) -> None:
        """C{:} is a letter like any other; only the first C{=} divides."""
        self.assertEqual(rows("[mac]\naa:bb = c=d : e\n"), [("mac", [(2, "aa:bb", "c=d : e")])])

    def test_no_interpolation(self) -> None:
        """C{%} and C{$} mean nothing."""
        self.assertEqual(rows("[a]\nx = %(y)s ${z} %\n"), [("a", [(2, "x", "%(y)s ${z} %")])])

    def test_comments(self) -> None:
        """A comment has a line of its own; behind a value it belongs to the value."""
        self.assertEqual(rows("[a]\n ; x = 1\ny = 2 ; z\n"), [("a", [(3, "y", "2 ; z")])])

    def test_header_comment(self) -> None:
        """Behind a header a comment does no harm."""
        self.assertEqual(rows("[a] ; b\nx=1"), [("a", [(2, "x", "1")])])

    def test_continued(self) -> None:
        """An indented line goes on with the value before it; a blank line ends that."""
        self.assertEqual(rows("[a]\nx = 1\n  2\n\n  y = 3\n"), [("a", [(2, "x", "1\n2"), (5, "y", "3")])])

    def test_duplicates(self) -> None:
        """Sections and options that come twice are all there."""
        self.assertEqual(
            rows("[a]\nx=1\nx=2\n[A]\nx=3\n"), [("a", [(2, "x", "1"), (3, "x", "2")]), ("a", [(5, "x", "3")])]
        )

    def test_default_section(self) -> None:
        """C{[DEFAULT]} is a section like any other."""
        self.assertEqual(rows("[DEFAULT]\nx=1\n[a]\n"), [("default", [(2, "x", "1")]), ("a", [])])

    def test_empty_value(self) -> None:
        """An option may have nothing behind its C{=}."""
        self.assertEqual(rows("[a]\nx =\n"), [("a", [(2, "x", "")])])

    def test_newlines(self) -> None:
        """All three kinds of line ends count, and no other character does."""
        self.assertEqual(rows("[a]\r\nx=1\ry=2\nz=\u20283\n"), [("a", [(2, "x", "1"), (3, "y", "2"), (4, "z", "3")])])

    def test_utf8(self) -> None:
        """Bytes are UTF-8, with a byte order mark or without."""
        self.assertEqual(rows("\ufeff[a]\nx=ü".encode()), [("a", [(2, "x", "ü")])])

    def test_problems(self) -> None:
        """What is neither header nor option is told, all of it, and the rest is read."""
        text = "x = 1\n[a]\nhello\n= 3\n[ ]\n[b\n[c] y = 2\nz = 4\n"
        self.assertEqual(
            sorted(problems(text)),
            [
                "x.ini:1: x = 1: stands before the first [section]",
                "x.ini:3: hello: write [section] or name = value",
                "x.ini:4: = 3: write [section] or name = value",
                "x.ini:5: [ ]: write [section] or name = value",
                "x.ini:6: [b: write [section] or name = value",
                "x.ini:7: [c] y = 2: the [name] of a section needs a line of its own",
            ],
        )
        self.assertEqual(rows(text), [("a", [(8, "z", "4")])])

    def test_not_utf8(self) -> None:
        """Another encoding is told, with its line."""
        self.assertEqual(problems(b"[a]\nx = \xe4\n"), ["x.ini:2: is no UTF-8 text; save the file as UTF-8"])

    @given(
        st.lists(st.sampled_from(["[", "]", "a", "B", "=", ";", "#", " ", "\n", "\n[x]\n", "\n  ", "ü", "\r", "\x1c"]))
    )
    @example(["[x]", "\n", "a", "=", "\n", " ", "[x]"])
    def test_as_configparser(self, pieces: list[str]) -> None:
        """Whatever configparser takes without a word is read as it reads it."""
        text = "[x]\n" + "".join(pieces)
        theirs = RawConfigParser(
            delimiters=("=",), comment_prefixes=(";", "#"), interpolation=None, empty_lines_in_values=False
        )
        theirs.optionxform = str  # type: ignore[assignment]
        try:
            theirs.read_file(text.replace("\r", "\n").split("\n"))
        except Error:
            return
        if any("]" in name or "[" in name for name in theirs.sections()):
            return  # here a section's name ends at its first bracket
        document = parse(text, "x.ini")
        if not document.problems:
            ours = {s.origin.section: [(e.name, e.text) for e in s.entries] for s in document.sections}
            self.assertEqual(ours, {name.strip(): theirs.items(name) for name in theirs.sections()}, text)

    @given(st.one_of(st.text(), st.binary()))
    def test_never_fails(self, data: bytes | str) -> None:
        """No file is such that reading it raises."""
        parse(data, "x.ini")
