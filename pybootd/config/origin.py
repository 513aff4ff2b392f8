"""
Where in the configuration something was said.

Every setting keeps its origin, so that an error, a refusal or a step of a decision's
trace can name the line that a person has to look at.
"""

from __future__ import annotations

from attrs import frozen

from pybootd.text import printable


@frozen
class Origin:
    """One line of the configuration, or a default that stands in none (C{line} 0)."""

    file: str
    """The file's name as the person gave it."""

    line: int
    """Counted from 1; 0 where the value is the built-in default."""

    section: str
    """The section's name without its brackets; nothing where the file itself is meant."""

    option: str = ""
    """The option's name, or nothing where the section itself is meant."""

    def __str__(self) -> str:
        what = f"[{self.section}] {self.option}".rstrip() if self.section else ""
        return f"{self.file}:{self.line}: {what}".rstrip(": ") if self.line else f"{what} (default)"


DEFAULT = Origin("", 0, "")
"""The origin of what nobody configured."""


@frozen
class Problem:
    """What is wrong with one line of the configuration, as a person reads it."""

    origin: Origin
    what: str
    """What is wrong and what would be right."""

    wrote: str | None = None
    """The value as it was written, where that is what is wrong."""

    def __str__(self) -> str:
        value = "" if self.wrote is None else f" = {printable(self.wrote)}"
        return f"{printable(str(self.origin), 300)}{value}: {printable(self.what, 500)}"
