"""Enumerations whose members cost no more than any other attribute."""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

E = TypeVar("E", bound=type[Enum])


def plain(enumeration: E) -> E:
    """
    Make the members of an enumeration plain attributes of it, and their hashes those of any object.

    Python 3.11 finds C{Kind.DISCOVER} by a function written in Python, and hashes a member's name each time: with the
    dozens of members that one packet meets that is a third of the work.  Newer Pythons do the same by themselves.
    """
    for member in enumeration:
        type.__setattr__(enumeration, member.name, member)
    if not issubclass(enumeration, int):
        type.__setattr__(enumeration, "__hash__", object.__hash__)
    return enumeration
