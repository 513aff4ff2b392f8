"""
Boot menus on the machine's own screen: the firmware shows them and asks port 4011 for what was chosen (PXE 2.1 2.2.3).

Each item is a boot server type of its own; type 0 is the firmware's next boot device.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from struct import pack

from attrs import frozen

from pybootd.config.origin import Origin
from pybootd.dhcp import pxe
from pybootd.dhcp.quirks import Form

LOCAL = "local"
"""As the file of an item: no file, but the firmware's next boot device."""
FIRST_TYPE = 0x8000
"""Types from here on are everybody's own."""
ROOM = 253
"""Bytes of option 43: firmware does not join one that is split."""

_CONTROL = 0x07
"""Discovery control: nobody is searched for, by broadcast or multicast; the listed servers only."""


@frozen
class Item:
    """One line of a menu."""

    text: str
    file: str
    """Empty: the next boot device."""
    origin: Origin


@frozen(eq=False)
class Menu:
    """One menu."""

    prompt: str
    timeout: int
    """Seconds until the first item is taken; 0: at once; 255: never."""
    items: Sequence[Item]
    origin: Origin

    def chosen(self, type: int) -> Item | None:
        """The item of a boot server type; None where there is none, or where it needs no server."""
        at = type - FIRST_TYPE
        return self.items[at] if 0 <= at < len(self.items) and self.items[at].file else None

    @property
    def first(self) -> Item | None:
        """The first item with a file, for firmware that shows no menu."""
        return next((item for item in self.items if item.file), None)


@lru_cache(64)
def form_of(menu: Menu, server: int, ipxe: bool) -> Form:
    """
    How a client is told of a menu, and that C{server} has its files.

    @param ipxe: it is an iPXE, which would else wait for a proxy, and ask again meanwhile.
    """
    options = {60: pxe.PXE_CLIENT, 43: encoded(menu, server)}
    if ipxe:
        options[175] = pxe.NO_PXE_DHCP
    return Form("PXE, menu", options, names_file=False)


def encoded(menu: Menu, server: int) -> bytes:
    """The menu as option 43 (PXE 2.1, table 2-1: 6, 8, 9, 10)."""
    types = [(FIRST_TYPE + at if item.file else 0) for at, item in enumerate(menu.items)]
    servers = b"".join(pack("!HBI", type, 1, server) for type in types if type)
    texts = [item.text.encode("ascii") for item in menu.items]
    lines = b"".join(pack("!HB", type, len(text)) + text for type, text in zip(types, texts, strict=True))
    parts = [(pxe.DISCOVERY_CONTROL, bytes((_CONTROL,))), (pxe.BOOT_SERVERS, servers), (pxe.BOOT_MENU, lines)]
    return pxe.encapsulate([*parts, (pxe.MENU_PROMPT, bytes((menu.timeout,)) + menu.prompt.encode("ascii"))])


def size(prompt: str, items: Sequence[tuple[str, bool]]) -> int:
    """
    Bytes that a menu takes.

    @param items: the text of each, and whether it has a file.
    """
    lines = sum(3 + len(text) for text, _ in items)
    return 3 + (2 + 7 * sum(has_file for _, has_file in items)) + (2 + lines) + (3 + len(prompt)) + 1
