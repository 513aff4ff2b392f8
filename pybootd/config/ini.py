"""
An INI file as it stands: sections and options in the file's order, each with its line.

L{configparser} reads it, with C{=} as the only delimiter, C{;} or C{#} before comment lines, and nothing interpolated.
What it would forget is kept: line numbers, duplicates, the case of names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from configparser import ParsingError, RawConfigParser

from attrs import define, field, frozen

from pybootd.config.origin import Origin, Problem

_NEWLINE = re.compile(r"\r\n|\r|\n")
_HEADER = re.compile(r"\[(?P<header>[^\[\]]*[^\[\]\s][^\[\]]*)\]\s*([;#].*)?$")


@frozen
class Entry:
    """One option: its name and text as they were written."""

    name: str
    text: str
    origin: Origin


@define
class Section:
    """One section and its options, in order."""

    name: str
    """In lower case, with single blanks inside."""
    origin: Origin
    entries: list[Entry] = field(factory=list)


@define
class Document:
    """A whole file."""

    file: str
    sections: list[Section] = field(factory=list)
    problems: list[Problem] = field(factory=list)
    """What is no INI."""


def parse(data: bytes | str, file: str) -> Document:
    """
    Read the contents of a file; never fails, for what is wrong stands in C{problems}.

    @param data: bytes are UTF-8.
    @param file: the name by which messages call it.
    """
    document = Document(file)
    parser = _Parser(_text(data, document))
    for number in parser.read_all(file):
        line = parser.lines[number].strip()
        document.problems.append(Problem(Origin(file, number, ""), f"{line}: write [section] or name = value"))
    for header in parser.sections():
        section = _section(header, file)
        for key, text in parser.items(header):
            entry = _entry(key, text, section, file)
            wrong = _misplaced(entry, section)
            if wrong:
                document.problems.append(
                    Problem(Origin(file, entry.origin.line, ""), f"{entry.name} = {text}: {wrong}")
                )
            elif entry.name:
                section.entries.append(entry)
        if section.origin.line:
            document.sections.append(section)
    return document


def _text(data: bytes | str, document: Document) -> str:
    if isinstance(data, str):
        return data
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        document.problems.append(Problem(Origin(document.file, line, ""), "is no UTF-8 text; save the file as UTF-8"))
        return data.decode("utf-8-sig", "replace")


def _section(header: str, file: str) -> Section:
    number, _, name = header.partition(" ")
    return Section(" ".join(name.lower().split()), Origin(file, int(number), name.strip()))


def _entry(key: str, text: str, section: Section, file: str) -> Entry:
    number, _, name = key.partition(" ")
    return Entry(name, text, Origin(file, int(number), section.origin.section, name))


def _misplaced(entry: Entry, section: Section) -> str:
    """What is wrong with where a line stands, for configparser lets it pass."""
    if entry.name.startswith("["):
        return "the [name] of a section needs a line of its own"
    return "" if section.origin.line else "stands before the first [section]"


class _Parser(RawConfigParser):
    """
    A parser that writes the line number before each name, so that no name comes twice: C{14 pool_start}.

    Options before the first header go to a section of line 0.
    """

    def __init__(self, text: str) -> None:
        super().__init__(
            delimiters=("=",),
            comment_prefixes=(";", "#"),
            strict=False,
            empty_lines_in_values=False,
            interpolation=None,
        )
        self.lines = ["[0]", *_NEWLINE.split(text)]
        self.number = 0
        self.SECTCRE = _Headers(self)  # type: ignore[assignment]

    def read_all(self, file: str) -> list[int]:
        """@return: the numbers of lines that are neither header nor option."""
        try:
            self.read_file(self._counted(), file)
        except ParsingError as error:
            return [number - 1 for number, _ in error.errors]
        return []

    def _counted(self) -> Iterator[str]:
        for number, line in enumerate(self.lines):
            self.number = number
            yield line

    def optionxform(self, optionstr: str) -> str:
        return f"{self.number} {optionstr}"


class _Headers:
    """What L{_Parser} finds section headers with."""

    def __init__(self, parser: _Parser) -> None:
        self._parser = parser

    def match(self, line: str) -> re.Match[str] | None:
        found = _HEADER.match(line)
        return found and _HEADER.match(f"[{self._parser.number} {found['header']}]")
