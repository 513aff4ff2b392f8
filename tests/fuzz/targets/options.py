"""One DHCP option: 43, 60, 77, 82, 93, 97, 175 and all the others; read, shown, and written back."""

from __future__ import annotations

from pybootd.dhcp import pxe
from pybootd.dhcp.options import BY_CODE, LIMIT, OPAQUE, PXE, RELAY, TEXT, describe
from pybootd.dhcp.packet import decode
from pybootd.errors import MalformedPacket
from tests.fuzz.support import shown
from tests.support.captures import CAPTURES

SEEDS = tuple(
    sorted({bytes((code,)) + value for capture in CAPTURES for code, value in decode(capture.data).options.items()})
)

_LOSSY = (TEXT,)
"""Trailing NULs, and bytes that are no UTF-8, are lost when they are read."""


def one(data: bytes) -> None:
    """C{data} is the code and the value."""
    code, raw = data[:1], data[1:]
    if not code:
        return
    shown(describe(code[0], raw), 4 * LIMIT * 4 + 4)
    option = BY_CODE.get(code[0])
    if option is not None:
        try:
            value = option.decode(raw)
        except MalformedPacket as error:
            shown(str(error))
        else:
            again = option.codec.encode(value)
            assert again == raw or option.codec in _LOSSY, (option.name, raw)
            assert option.codec in (OPAQUE, PXE, RELAY) or option.decode(again) == value
    parts = list(pxe.suboptions(raw))
    _stand_in(raw, parts)
    assert all(0 < code < 255 for code, _ in parts)
    assert list(pxe.suboptions(pxe.encapsulate(parts))) == parts
    item = pxe.boot_item(raw)
    assert item is None or (pxe.BOOT_ITEM in dict(parts) and max(item) < 65536)
    assert pxe.features(raw) <= dict(parts).keys()
    assert len(pxe.user_class(raw)) <= len(raw)
    identifier = pxe.machine_identifier(raw)
    assert len(identifier) in (0, 16)
    assert pxe.swapped(pxe.swapped(identifier)) == identifier
    assert (pxe.architecture(raw) or 0) < 65536


def _stand_in(raw: bytes, parts: list[tuple[int, bytes]]) -> None:
    """Each part stands there as it was read, whole, one behind the other with nothing but padding between."""
    at = 0
    for code, value in parts:
        at += len(raw[at:]) - len(raw[at:].lstrip(b"\0"))
        assert raw[at] == code
        assert raw[at + 1] == len(value)
        assert raw[at + 2 : at + 2 + len(value)] == value
        at += 2 + len(value)
