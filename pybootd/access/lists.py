"""
Access lists in the configuration: C{[mac]} and C{[uuid]}, one line for each machine or for many with a mask.

The longest mask that fits decides; who fits none is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zope.interface import implementer

from pybootd.config import Access, Static
from pybootd.interfaces import IAccessControl, Question, Verdict
from pybootd.machine import mac_text
from pybootd.masks import Masks

HIDDEN = Verdict(False, "it did not say its UUID, and [uuid] decides who is served")


@implementer(IAccessControl)
class MacAccess:
    """C{access = mac}."""

    name = "mac"

    def __init__(self, entries: Sequence[Access], static: Sequence[Static] = ()) -> None:
        self._list = Masks(entries)
        self._static: Mapping[bytes, Static] = {entry.mac: entry for entry in static}

    def check(self, question: Question) -> Verdict:
        entry = self._list.find(question.mac)
        if entry is not None:
            return _verdict(entry)
        static = self._static.get(question.mac)
        if static is not None:
            return Verdict(True, "it has a fixed address", str(static.origin))
        dashed = mac_text(question.mac).replace(":", "-").upper()
        return Verdict(False, f"not in [mac]; add {dashed} = enable to serve it")


@implementer(IAccessControl)
class UuidAccess:
    """C{access = uuid}."""

    name = "uuid"

    def __init__(self, entries: Sequence[Access], static: Sequence[Static] = ()) -> None:
        self._list = Masks(entries)
        self._static: Mapping[bytes, Static] = {entry.mac: entry for entry in static}

    def check(self, question: Question) -> Verdict:
        entry = self._list.find(question.uuid, swapped(question.uuid)) if question.uuid else None
        if entry is not None:
            return _verdict(entry)
        static = self._static.get(question.mac)
        if static is not None:
            return Verdict(True, "it has a fixed address", str(static.origin))
        if not question.uuid:
            return HIDDEN
        return Verdict(False, f"not in [uuid]; add {printed(question.uuid)} = enable to serve it")


def _verdict(entry: Access) -> Verdict:
    word = "allows" if entry.allowed else "blocks"
    return Verdict(entry.allowed, f"[{entry.origin.section}] {entry.origin.option} {word} it", str(entry.origin))


def swapped(uuid: bytes) -> bytes:
    """A UUID with its first three fields the other way round: the wire has them little-endian."""
    return uuid[3::-1] + uuid[5:3:-1] + uuid[7:5:-1] + uuid[8:]


def printed(uuid: bytes) -> str:
    """A UUID from the wire as people write it."""
    text = swapped(uuid).hex().upper()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
