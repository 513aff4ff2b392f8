"""C{pybootd boot}: what one machine boots the next time, and only then; and waking it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any

from twisted.python import usage

from pybootd.commands.inspect import on_record
from pybootd.config import Config
from pybootd.config.loading import load
from pybootd.config.origin import Origin
from pybootd.config.words import mac as mac_word
from pybootd.dhcp.delivery import LIMITED_BROADCAST
from pybootd.dhcp.settings import Network
from pybootd.doctor.files import HeadSource
from pybootd.errors import ContentError, EnvironmentProblem, PybootdError
from pybootd.flags import CommandOptions, Flags
from pybootd.here import settings_here
from pybootd.library import Library, Named
from pybootd.machine import Machine, mac_text
from pybootd.net.wake import wake
from pybootd.orders import OrderBook, place_of, sound


class BootOptions(CommandOptions):
    """C{pybootd boot}."""

    synopsis = "Usage: pybootd boot [-c FILE] [MAC FILE --once [--wake] | MAC --cancel | MAC --wake]"
    optFlags: list[Any] = [
        *CommandOptions.optFlags,
        ["once", None, "The next time only; for every time, write [host MAC] bootfile."],
        ["cancel", None, "The machine boots as usual after all."],
        ["wake", None, "Wake it (Wake-on-LAN)."],
    ]

    def parseArgs(self, *words: str) -> None:
        if len(words) > 2:
            raise usage.UsageError("write: pybootd boot MAC FILE --once")
        try:
            self["mac"] = mac_word(words[0]) if words else b""
        except ValueError as error:
            raise usage.UsageError(f"{words[0]}: {error}") from None
        self["file"] = words[1] if len(words) > 1 else ""

    def postOptions(self) -> None:
        super().postOptions()
        file, once, cancel, wakes = self["file"], self["once"], self["cancel"], self["wake"]
        if bool(file) != bool(once):
            every = "for every boot, write bootfile = FILE in its [host MAC]"
            raise usage.UsageError(f"a file and --once belong together; {every}" if file else "--once needs a file")
        if not self["mac"] and (cancel or wakes):
            raise usage.UsageError("which machine?  Write: pybootd boot MAC ...")
        if cancel and (file or wakes):
            raise usage.UsageError("--cancel takes an order back; it goes with nothing else")
        if self["mac"] and not (file or cancel or wakes):
            raise usage.UsageError("write: pybootd boot MAC FILE --once, or: pybootd boot MAC --cancel")
        if file and not sound(file):
            raise usage.UsageError("FILE is the name of a file below the root, or a URL")


def boot(options: BootOptions, flags: Flags) -> int:
    """List the orders, give one or take one back; wake the machine."""
    config = load(flags)
    book, mac = OrderBook(place_of(config)), options["mac"]
    if not mac:
        for order in book.all():
            print(f"{order}  since {time.strftime('%F %T', time.localtime(order.since))}")
        return 0
    if options["cancel"]:
        if not book.cancel(mac):
            raise EnvironmentProblem(f"{mac_text(mac)} has no next boot in order")
        print(f"{mac_text(mac)} boots as usual")
    if options["file"]:
        _doubt(config, mac, options["file"])
        book.put(mac, options["file"])
        print(f"{mac_text(mac)} boots {options['file']} the next time ({book.place})")
    return _wake(config, mac) if options["wake"] else 0


def _doubt(config: Config, mac: bytes, file: str) -> None:
    """A file that is not there is said; it may yet come."""
    if "://" in file:
        return
    settings = next((host for host in config.hosts if host.mac == mac), None)
    machine = Machine(mac_text(mac), variables=settings.variables if settings is not None else {})
    named = Named(file, Origin("", 0, "boot", "FILE"), machine, ipxe=True)
    library = Library(config, (), HeadSource())
    try:
        if library.knows(named):
            library.find(named)
    except ContentError:
        print(f"pybootd: {file}: there is no such file to be had now", file=sys.stderr)


def _wake(config: Config, mac: bytes) -> int:
    """
    Send the magic packet wherever the machine may be.

    @raise EnvironmentProblem: it could not leave by any interface.
    """
    sent, refused = [], []
    for network in _networks(config, mac):
        where = network.interface_name or str(network)
        address = IPv4Address(LIMITED_BROADCAST if network.interface else network.last)
        try:
            wake(mac, address, network.interface)
        except OSError as error:
            refused.append(f"{where}: {error.strerror}")
        else:
            sent.append(where if network.interface else f"the way to {where}, if the router lets broadcasts pass")
    if not sent:
        raise EnvironmentProblem(f"{mac_text(mac)} cannot be woken: {'; '.join(refused)}")
    print(f"{mac_text(mac)} is woken by {', '.join(sent)}")
    return 0


def _leased(config: Config, mac: bytes) -> int:
    """The address that the machine had last; 0 where none is on record, or the record cannot be read."""
    try:
        return next((lease.address for lease in reversed(on_record(config)) if lease.key == mac), 0)
    except PybootdError:
        return 0


def _networks(config: Config, mac: bytes) -> Iterator[Network]:
    """The network of the machine's own address, or of its lease; where it has neither, all that are served."""
    settings = settings_here(config)
    own = settings.network_with(settings.host(mac).address or _leased(config, mac))
    yield from settings.networks if own is None else (own,)
