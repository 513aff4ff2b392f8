"""
C{[filters]}: what a client asks for, and what it is given instead.

The first pattern that matches, in the order of the file, decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from attrs import frozen
from zope.interface import implementer

from pybootd.content.patterns import Value, compile_pattern
from pybootd.content.variables import variables
from pybootd.errors import NotFound
from pybootd.interfaces import IFilenameFilter, Target
from pybootd.machine import Machine

if TYPE_CHECKING:
    from pybootd.config import Pattern


@frozen
class Rule:
    """One line of C{[filters]}."""

    pattern: re.Pattern[str]
    value: Value
    setting: str
    """The line, as L{pybootd.config.origin.Origin} prints it."""


@implementer(IFilenameFilter)
class FilenameFilter:
    """C{[filters]} as a whole."""

    name = "[filters]"

    def __init__(self, lines: Iterable[Pattern]) -> None:
        """@raise ValueError: a value cannot be read; see L{Value.parse}."""
        self._rules = [Rule(compile_pattern(line.pattern), Value.parse(line.value), str(line.origin)) for line in lines]

    def rewrite(self, filename: str, machine: Machine | None) -> Target | None:
        for rule in self._rules:
            if rule.pattern.fullmatch(filename):
                return self._target(rule, filename, machine)
        return None

    def _target(self, rule: Rule, filename: str, machine: Machine | None) -> Target:
        try:
            name = rule.value.fill(variables(filename, machine))
        except NotFound as missing:
            raise NotFound(f"{missing}; {rule.setting} needs it") from missing
        return Target(name, rule.value.base, rule.setting, rule.value.indirect)
