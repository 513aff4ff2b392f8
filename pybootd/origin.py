"""
Where in the configuration something was said.

Every setting keeps its origin, so that an error, a refusal or a step of a decision's
trace can name the line that a person has to look at.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Origin:
    """One line of the configuration, or a default that stands in none (C{line} 0)."""

    file: str
    """The file's name as the person gave it."""

    line: int
    """Counted from 1; 0 where the value is the built-in default."""

    section: str
    """The section's name without its brackets."""

    option: str = ""
    """The option's name, or nothing where the section itself is meant."""

    def __str__(self) -> str:
        what = f"[{self.section}] {self.option}".rstrip()
        return f"{self.file}:{self.line}: {what}" if self.line else f"{what} (default)"


DEFAULT = Origin("", 0, "")
"""The origin of what nobody configured."""
