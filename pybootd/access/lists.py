"""
Access lists in the configuration: C{[mac]} and C{[uuid]}, one line for each machine or for many with a mask.

The longest mask that fits decides; who fits none is refused, unless C{[static_dhcp]} has an address for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from zope.interface import implementer

from pybootd.config import Access, Static
from pybootd.config.masks import Masks
from pybootd.interfaces import IAccessControl, Question, Verdict
from pybootd.machine import mac_text

HIDDEN = "it did not say its UUID, and [uuid] decides who is served"


class Hardware:
    """What C{[mac]} and C{[static_dhcp]} say of a hardware address; the first one's word counts more."""

    def __init__(self, listed: Sequence[Access], static: Sequence[Static]) -> None:
        self._listed = Masks(listed)
        self._static = {entry.mac: entry for entry in static}

    def listed(self, mac: bytes) -> Verdict | None:
        """The verdict of C{[mac]}, if it has a line for this machine."""
        entry = self._listed.find(mac)
        return None if entry is None else _verdict(entry)

    def fixed(self, mac: bytes) -> Verdict | None:
        """The verdict about a machine with a fixed address; None for others."""
        static = self._static.get(mac)
        if static is None:
            return None
        return self.listed(mac) or Verdict(True, "it has a fixed address", str(static.origin))


@implementer(IAccessControl)
class MacAccess:
    """C{access = mac}."""

    name = "mac"

    def __init__(self, entries: Sequence[Access], static: Sequence[Static] = (), section: str = "") -> None:
        """@param section: where C{[mac]} stands, for whoever has no line in it."""
        self._hardware = Hardware(entries, static)
        self._section = section

    def check(self, question: Question) -> Verdict:
        verdict = self._hardware.listed(question.mac) or self._hardware.fixed(question.mac)
        if verdict is not None:
            return verdict
        dashed = mac_text(question.mac).replace(":", "-").upper()
        return Verdict(False, f"not in [mac]; add {dashed} = enable to serve it", self._section)


@implementer(IAccessControl)
class UuidAccess:
    """C{access = uuid}."""

    name = "uuid"

    def __init__(
        self,
        entries: Sequence[Access],
        static: Sequence[Static] = (),
        macs: Sequence[Access] = (),
        section: str = "",
    ) -> None:
        """
        @param macs: the lines of C{[mac]}, which decide over C{static} here too.
        @param section: where C{[uuid]} stands, for whoever has no line in it.
        """
        self._section = section
        self._listed = Masks(entries)
        self._hardware = Hardware(macs, static)

    def check(self, question: Question) -> Verdict:
        uuid = UUID(bytes_le=question.uuid) if question.uuid else None
        if uuid is not None:
            entry = self._listed.find(uuid.bytes_le, uuid.bytes)
            if entry is not None:
                return _verdict(entry)
        fixed = self._hardware.fixed(question.mac)
        if fixed is not None:
            return fixed
        if uuid is None:
            return Verdict(False, HIDDEN, self._section)
        return Verdict(False, f"not in [uuid]; add {str(uuid).upper()} = enable to serve it", self._section)


def _verdict(entry: Access) -> Verdict:
    word = "allows" if entry.allowed else "blocks"
    return Verdict(entry.allowed, f"[{entry.origin.section}] {entry.origin.option} {word} it", str(entry.origin))
