"""
What a client's name means, before anything is looked up.

One meaning for TFTP and HTTP: the components are separated by C{/} or (WinPE) C{\\}, a
leading separator stands for the root, C{.} and empty components are dropped, C{..} takes
back the component before it and never one that is not there.  Everything else, C{%},
C{?}, C{#}, C{@} and C{:} included, is a letter like any other.
"""

from __future__ import annotations

from functools import lru_cache

from pybootd.errors import NotFound

REMEMBERED = 256
"""Names whose meaning is kept in mind, the latest: a hall of machines asks for the same few files."""

LONGEST = 512
"""Letters of a name that is remembered."""


def normalise(name: bytes | str) -> str:
    """
    A client's name as components below the root, joined by C{/}.

    Some firmware takes the END octet that follows the boot file's name in a DHCP packet
    for a part of it and asks for C{name\\xff}; those octets are cut off.

    @return: bytes that are no UTF-8 are carried as lone surrogates.
    @raise NotFound: the name can be no file's: it is empty, has a NUL, ends as
        a directory's does, or climbs above the root.
    """
    return _remembered(name) if len(name) <= LONGEST else _normalised(name)


def _normalised(name: bytes | str) -> str:
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    return below(text.rstrip("\udcff").replace("\\", "/"))


_remembered = lru_cache(REMEMBERED)(_normalised)


def below(path: str) -> str:
    """
    A relative path without C{.}, C{..} and empty components.

    @raise NotFound: it is no file's, or climbs above where it starts.
    """
    if "\0" in path:
        raise NotFound("a NUL in its name")
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                raise NotFound("leads out of the root")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if not parts or path.endswith(("/", "/.", "/..")):
        raise NotFound("a directory")
    return "/".join(parts)
