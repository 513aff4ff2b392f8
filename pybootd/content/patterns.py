"""
Patterns and values of C{[filters]} and C{[templates]}, as the configuration writes them.

A pattern may hold C{*} (anything, C{/} included) and C{?} (one character), and matches
whole names.  A value may hold variables in braces; in brackets it is the path of a file that
holds the name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

from pybootd.content.urls import is_url, quoted, within_path
from pybootd.errors import NotFound

_VARIABLE = re.compile(r"\{([^{}]*)\}")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """
    A pattern with C{*} and C{?} as a regular expression for C{fullmatch}.

    Each C{*} is settled at the first place that fits and never looked at again, so that no
    name of any length makes the match slow.  As in names, C{\\} is C{/}, and a leading C{/}
    or C{./} means nothing.
    """
    pieces = [re.escape(piece).replace(r"\?", ".") for piece in _stripped(pattern).split("*")]
    if len(pieces) == 1:
        expression = pieces[0]
    else:
        middle = "".join(f"(?>.*?{piece})" for piece in pieces[1:-1])
        expression = f"{pieces[0]}{middle}.*{pieces[-1]}"
    return re.compile(expression, re.DOTALL)


def _stripped(pattern: str) -> str:
    pattern = pattern.replace("\\", "/")
    while pattern.startswith(("/", "./")):
        pattern = pattern.removeprefix(".").removeprefix("/")
    return pattern


@frozen
class Value:
    """
    A filter's value, ready to be filled in.

    @ivar indirect: it stood in brackets.
    @ivar base: what stands before the first variable, up to and with its last C{/}: what
        the variables bring in stays below it.  None: there are no variables.
    """

    parts: tuple[str, ...]
    """Literal text and, at odd places, the names of variables."""
    indirect: bool
    base: str | None

    @classmethod
    def parse(cls, text: str) -> Value:
        """@raise ValueError: braces or brackets do not match; the message is a sentence."""
        indirect = text.startswith("[") and text.endswith("]")
        if indirect:
            text = text[1:-1].strip()
        if not text:
            raise ValueError("names no file")
        parts = tuple(_VARIABLE.split(text))
        for literal in parts[::2]:
            if "{" in literal or "}" in literal:
                raise ValueError("has a brace without its partner; variables are written {name}")
        if len(parts) == 1:
            return cls(parts, indirect, None)
        if is_url(text) and not (within_path(parts[0]) and all("?" not in part and "#" not in part for part in parts)):
            raise ValueError("is an URL with a variable outside its path")
        return cls(parts, indirect, parts[0][: parts[0].rfind("/") + 1])

    @property
    def names(self) -> tuple[str, ...]:
        """The variables in it."""
        return self.parts[1::2]

    def fill(self, known: Mapping[str, str]) -> str:
        """@raise NotFound: one of its variables is not known of this machine."""
        for name in self.names:
            if name not in known:
                raise NotFound(f"{{{name}}} is not known of this machine")
        if is_url(self.parts[0]):
            known = {name: quoted(known[name]) for name in self.names}
        return "".join(known[part] if index % 2 else part for index, part in enumerate(self.parts))
