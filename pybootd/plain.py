"""Enumerations whose members cost no more than any other attribute."""

from __future__ import annotations

from enum import Enum
from operator import attrgetter
from typing import TypeVar

E = TypeVar("E", bound=type[Enum])


def plain(enumeration: E) -> E:
    """
    Make the members of an enumeration plain attributes of it, as C{value} is of them, and their hashes those of any
    object.

    Python 3.11 finds C{Kind.DISCOVER} and its C{value} by functions written in Python, and hashes a member's name each
    time: with the dozens of members that one packet meets that is a third of the work.  Newer Pythons do most of it by
    themselves.
    """
    for member in enumeration:
        type.__setattr__(enumeration, member.name, member)
    type.__setattr__(enumeration, "value", property(attrgetter("_value_")))
    if not issubclass(enumeration, int):
        type.__setattr__(enumeration, "__hash__", object.__hash__)
    return enumeration
