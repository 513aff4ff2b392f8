"""
Lists of hardware addresses and UUIDs with masks: the longest mask that fits decides.

A look-up costs one step for each length of mask that the list uses, however long the list is.
"""

from __future__ import annotations

from collections.abc import Iterable

from pybootd.config.sections import Access


class Masks:
    """C{[mac]}, C{[uuid]} or C{[buggy_clients]}, ready to be asked."""

    def __init__(self, entries: Iterable[Access]) -> None:
        by_length: dict[int, dict[int, Access]] = {}
        for entry in entries:
            width = len(entry.who.value) * 8
            by_length.setdefault(entry.who.bits, {})[int.from_bytes(entry.who.value) >> width - entry.who.bits] = entry
        self._longest_first = sorted(by_length.items(), reverse=True)

    def __bool__(self) -> bool:
        """Whether anybody is listed."""
        return bool(self._longest_first)

    def find(self, *identifiers: bytes) -> Access | None:
        """
        The line that decides.

        @param identifiers: one machine's, in every form that may be listed, such as both byte orders of its UUID.
        """
        if not self._longest_first:
            return None
        numbers = [(int.from_bytes(one), len(one) * 8) for one in identifiers]
        for bits, entries in self._longest_first:
            for number, width in numbers:
                found = entries.get(number >> width - bits) if width >= bits else None
                if found is not None:
                    return found
        return None
