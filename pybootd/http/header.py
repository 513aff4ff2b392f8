"""
A request's header, read in one go where it has come in one piece and is as plain as nearly all are.

What is not, be it by fault, by age (folded lines) or by a body, is left to Twisted's parser, which goes line by line.
Whatever is taken here means the same there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_LINE = rb"(GET|HEAD) ([!-~]++) (HTTP/1\.[01])\r\n"
_FIELD = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~]*+\r\n"
_PLAIN = re.compile(_LINE + rb"((?:" + _FIELD + rb")*+)\r\n")
_NAME_AND_VALUE = re.compile(rb"([^:]++):([^\r]*+)\r\n")


class Header(NamedTuple):
    """A request for a file, all that it says."""

    method: bytes
    target: bytes
    version: bytes
    fields: Mapping[bytes, bytes]
    """By their names in lower case; of several the last."""


def plain(data: bytes, most: int) -> Header | None:
    """
    What C{data} asks for, if it is one whole header and nothing else.

    @param most: how many fields it may have.
    @return: None where it is to be read line by line.
    """
    match = _PLAIN.fullmatch(data)
    if match is None:
        return None
    method, target, version, block = match.groups()
    pairs = _NAME_AND_VALUE.findall(block)
    fields = {name.lower(): value.strip(b" \t") for name, value in pairs}
    if len(pairs) > most or b"content-length" in fields or b"transfer-encoding" in fields:
        return None
    return Header(method, target, version, fields)
