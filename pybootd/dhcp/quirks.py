"""
What certain firmware needs beside the RFCs: data, one row for each kind, with its source.

The first row that fits a request counts.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from pybootd.dhcp.request import Request
from pybootd.machine import Firmware


@frozen
class Quirk:
    """How one kind of client is to be answered."""

    name: str
    source: str
    fits: Callable[[Request], bool]
    menu: bytes = b""
    """The text of a boot menu with one item, without which the client does not believe the offer."""
    terminated: bool = True
    """Option 67 ends in a NUL."""
    never_broadcast: bool = False
    """The reply goes to the client's hardware address, whatever its flags say."""
    announce: bool = False
    """The answer is followed by a gratuitous ARP, which pushes it through the client's network adapter."""
    binds: bool = False
    """It uses the OFFER and never sends a REQUEST: the address is its own from the OFFER on."""


def _pi(serial: bytes) -> Callable[[Request], bool]:
    return lambda request: request.firmware is Firmware.RASPBERRY_PI and request.uuid.startswith(serial)


QUIRKS = (
    Quirk(
        "Raspberry Pi 3",
        # never sends a REQUEST; takes any offer that it sees, all boards with one xid; its adapter holds packets back
        "raspberrypi/firmware #1699, #1067, #894, #871",
        _pi(b"\x44"),
        menu=b"Raspberry Pi Boot   ",
        terminated=False,
        never_broadcast=True,
        announce=True,
        binds=True,
    ),
    Quirk(
        "Raspberry Pi 4 or later",
        "raspberrypi/rpi-eeprom #60, #82",
        _pi(b"RPi"),
        menu=b"Raspberry Pi Boot",
        terminated=False,
    ),
)

USUAL = Quirk("", "", lambda request: True)


def quirk_of(request: Request) -> Quirk:
    """The row that fits a request, or the usual."""
    return next((quirk for quirk in QUIRKS if quirk.fits(request)), USUAL)
