"""One thing that the doctor found: how grave it is, what it is, what to do about it."""

from __future__ import annotations

from enum import Enum

from attrs import frozen


class Grade(Enum):
    """How grave it is, the least first."""

    FINE = "fine"
    UNKNOWN = "unknown"
    """It could not be looked at."""
    HINT = "hint"
    """It works in general; where machines do not boot, look here."""
    WRONG = "wrong"
    """Some machine will not boot because of it."""


@frozen
class Finding:
    """One line for a person, and one that helps."""

    grade: Grade
    text: str
    remedy: str = ""
    """A command, a line of the configuration, or a sentence; nothing where nothing is to be done."""

    def __str__(self) -> str:
        return f"{self.grade.value + ':':8} {self.text}" + (f"\n         -> {self.remedy}" if self.remedy else "")


def fine(text: str) -> Finding:
    """All is well with it."""
    return Finding(Grade.FINE, text)


def unknown(text: str, remedy: str = "") -> Finding:
    """It could not be looked at."""
    return Finding(Grade.UNKNOWN, text, remedy)


def hint(text: str, remedy: str = "") -> Finding:
    """It may be in the way."""
    return Finding(Grade.HINT, text, remedy)


def wrong(text: str, remedy: str) -> Finding:
    """It is in the way."""
    return Finding(Grade.WRONG, text, remedy)
