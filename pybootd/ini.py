"""
An INI file as it stands: sections and options in the file's order, each with its line.

What L{configparser} keeps to itself is needed here: line numbers, duplicates, the case of file patterns.  The syntax
is its: C{=} is the only delimiter, C{;} or C{#} begins a comment line, an indented line continues the value
before it, nothing is interpolated.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field, frozen

from pybootd.origin import Origin


@frozen
class Entry:
    """One option: its name as it was written, its text, its line."""

    name: str
    text: str
    origin: Origin


@define
class Section:
    """One section, its options in order."""

    name: str
    origin: Origin
    entries: list[Entry] = field(factory=list)


@define
class Document:
    """A whole file."""

    file: str
    sections: list[Section] = field(factory=list)
    problems: list[str] = field(factory=list)
    """Lines that are no INI, one finished sentence each."""

    def __iter__(self) -> Iterator[Section]:
        return iter(self.sections)


def parse(text: str, file: str) -> Document:
    """
    Read the text of a file; never fails, for what is wrong stands in C{problems}.

    @param file: the name by which messages call it.
    """
    document = Document(file)
    section: Section | None = None
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        bare = line.strip()
        if not bare or bare[0] in ";#":
            continue
        if line[0].isspace() and section is not None and section.entries:
            last = section.entries[-1]
            section.entries[-1] = Entry(last.name, f"{last.text}\n{bare}", last.origin)
        elif bare.startswith("["):
            name = bare[1:-1].strip()
            if not bare.endswith("]") or not name:
                document.problems.append(f"{file}:{number}: {bare}: no section; write [name]")
                section = None
                continue
            section = Section(name, Origin(file, number, name))
            document.sections.append(section)
        elif section is None:
            document.problems.append(f"{file}:{number}: {bare}: stands in no section; write [name] above it")
        else:
            name, equals, value = bare.partition("=")
            if not equals or not name.strip():
                document.problems.append(f"{file}:{number}: [{section.name}] {bare}: no option; write name = value")
                continue
            entry = Entry(name.strip(), value.strip(), Origin(file, number, section.name, name.strip()))
            section.entries.append(entry)
    return document
