"""
The event stream as log lines: one calm line for each step of a boot, with the machine and what it means to a person.

Events are only put aside when they happen.  Their lines are written a moment later, so many at a time, so that a storm
of machines waits neither for the log nor for a disk; what never stops is cut down to so many lines a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from math import isinf
from time import time
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger, LogLevel
from zope.interface import implementer

from pybootd import events
from pybootd.dhcp.architectures import name_of
from pybootd.events import Event
from pybootd.interfaces import INotifier
from pybootd.machine import Firmware
from pybootd.text import printable
from pybootd.throttle import Throttle

DELAY = 0.01
"""Seconds until the next lines are written."""

TOGETHER = 20
"""
Lines that are written at a time: with L{DELAY}, 2000 in a second.

While they are made nobody is answered: with 100 every 50 ms one machine in a hundred had its OFFER half a millisecond
later, of 500 in a second.
"""

REPEATS = 3
"""How often in a minute a machine's same request, or the same refusal of it, is worth its line."""

LARGE = 1_000_000
"""Bytes: the beginning of a longer transfer has a line too, for its end may be a while."""

INFO, DEBUG, WARN = LogLevel.info, LogLevel.debug, LogLevel.warn

NO_BOOT_FILE = "did not get its boot file {name}: {reason}; put it below [tftpd] root, or name another one"
"""Of all names that are not there the one without which nothing boots; loaders ask for many that need not be."""

_REPEATED = frozenset((events.Seen, events.Refused, events.Ignored, events.FileMissing))

Line = tuple[LogLevel, str, dict[str, Any]]
"""The level, the text after the machine, and the fields that it names."""


@implementer(INotifier)
class EventLog:
    """Writes events down as lines."""

    name = "log"

    def __init__(
        self,
        call_later: Callable[..., Any],
        clock: Callable[[], float],
        *,
        level: Any = LogLevel.info,
        lines_per_client: int = 50,
        clients: int = 10_000,
        waiting: int = 20_000,
        together: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """
        @param level: the least that is written (a C{LogLevel}); lines below it are not even made.
        @param lines_per_client: lines about one machine within a second.
        @param clients: how many machines are told apart.
        @param waiting: events that may wait for their line; what comes on top is left out, and counted.
        @param together: whatever is logged within it may be written at once.
        """
        # of the object: that of a class is another Logger each time that it is looked at
        self.log = Logger("pybootd")
        self._call_later = call_later
        self._clock = clock
        self._levels = frozenset(one for one in LogLevel.iterconstants() if one >= level)
        self._waiting: deque[Event] = deque()
        self._most = waiting
        self._together = together
        self._scheduled = False
        self._lost = 0
        self._clients = clients
        self._told: dict[str | None, str] = {}
        """The boot file that a machine was told last."""
        self._flood = Throttle(clock, lines_per_client, 1.0, clients)
        self._same = Throttle(clock, REPEATS, 60.0, clients)
        self._left_out = Throttle(clock, 1, 10.0)

    def notify(self, event: Event) -> None:
        if len(self._waiting) >= self._most:
            self._lost += 1
            return
        self._waiting.append(event)
        if not self._scheduled:
            self._scheduled = True
            self._call_later(DELAY, self._flush)

    def close(self) -> Deferred[None]:
        """Write everything that waits."""
        self._write(self._waiting)
        self._waiting.clear()
        self._tell_lost()
        return succeed(None)

    def _flush(self) -> None:
        self._write([self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))])
        if self._left_out.admits(None):
            self._tell_lost()
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            self._call_later(DELAY, self._flush)

    def _write(self, batch: Iterable[Event]) -> None:
        probes = {event.transfer for event in batch if type(event) is events.TransferFailed and event.probe}
        now = time()
        with self._together():
            for event in batch:
                describe = _LINES.get(type(event))
                if describe is None or (type(event) is events.TransferBegun and event.transfer in probes):
                    continue
                if isinstance(event, (events.Offered, events.Leased)) and event.boot_file:
                    self._remember(event.mac, event.boot_file)
                level, text, fields = describe(event)
                if type(event) is events.FileMissing and _same_file(event.name, self._told.get(event.mac, "")):
                    level, text = WARN, NO_BOOT_FILE
                if level in self._levels:
                    self._emit(event, level, text, fields, now)

    def _remember(self, mac: str | None, boot_file: str) -> None:
        self._told.pop(mac, None)
        self._told[mac] = boot_file
        if len(self._told) > self._clients:
            del self._told[next(iter(self._told))]

    def _emit(self, event: Event, level: LogLevel, text: str, fields: dict[str, Any], now: float) -> None:
        who = event.mac or event.address
        if _repeated(event) and not self._same.admits((who, text, *fields.values())):
            return
        if not self._flood.admits(who):
            self._lost += 1
            return
        address = event.address
        # what Logger.emit hands on, without its search for the level among all levels: a third of what a line cost
        self.log.observer(
            {
                "mac": event.mac,
                "address": None if address is None else str(address),
                **fields,
                "log_logger": self.log,
                "log_level": level,
                "log_namespace": self.log.namespace,
                "log_source": None,
                "log_format": ("{mac} " if event.mac else "{address} " if address else "somebody: ") + text,
                "log_time": now,
            }
        )

    def _tell_lost(self) -> None:
        if self._lost:
            self.log.warn("lines that were left out, for more happened than is worth them: {count}", count=self._lost)
            self._lost = 0


def _repeated(event: Event) -> bool:
    """Whether the same again soon says nothing new."""
    return type(event) in _REPEATED or (type(event) is events.TransferFailed and not event.sent)


def _seen(event: events.Seen) -> Line:
    level = DEBUG if event.message.startswith("REQUEST") else INFO
    what = _machine(event.firmware, event.architecture, event.interface)
    return level, "{message}: {what}", {"message": event.message, "what": what}


@lru_cache(256)
def _machine(firmware: Firmware, architecture: int | None, interface: str) -> str:
    """What asked, and where: of a hall of machines, most are the same."""
    parts = [firmware.value]
    if architecture is not None:
        parts.append(name_of(architecture))
    if interface:
        parts.append(f"on {interface}")
    return ", ".join(parts)


def _offered(event: events.Offered) -> Line:
    what = "offered {address}" if event.address is not None else "told its boot file by proxy"
    return INFO, what + _file(event.boot_file), {"file": printable(event.boot_file)}


def _leased(event: events.Leased) -> Line:
    fields = {"file": printable(event.boot_file), "duration": _duration(event.expires - event.time)}
    return INFO, "leased {address} {duration}" + _file(event.boot_file), fields


def _file(name: str) -> str:
    return ", boot file {file}" if name else ""


def _refusal(verb: str) -> Callable[[Any], Line]:
    def describe(event: events.Refused | events.Ignored) -> Line:
        where = " ({setting})" if event.setting else ""
        fields = {"message": event.message, "reason": printable(event.reason), "setting": printable(event.setting)}
        return INFO, "{message} " + verb + ": {reason}" + where, fields

    return describe


def _begun(event: events.TransferBegun) -> Line:
    detail = ", ".join(filter(None, ("" if event.size is None else _size(event.size), event.detail)))
    fields = {"name": printable(event.name), "protocol": event.protocol.upper(), "detail": detail}
    level = DEBUG if event.size is not None and event.size < LARGE else INFO
    return level, "fetching {name} by {protocol}" + (" ({detail})" if detail else ""), fields


def _ended(event: events.TransferEnded) -> Line:
    fields = {
        "name": printable(event.name),
        "protocol": event.protocol.upper(),
        "size": _size(event.sent),
        "seconds": f"{event.seconds:.1f}",
        "again": f", {event.retransmitted} blocks sent again" if event.retransmitted else "",
    }
    return INFO, "has {name}: {size} by {protocol} in {seconds} s{again}", fields


def _failed(event: events.TransferFailed) -> Line:
    fields = {"name": printable(event.name), "size": _size(event.sent), "reason": printable(event.reason)}
    if event.probe:
        return DEBUG, "asked for the size of {name}", fields
    return WARN, "did not get {name}: {reason} (after {size})", fields


def _same_file(name: str, told: str) -> bool:
    """Whether a name that a machine asked for is the file that it was told: a name, or a URL of this server."""
    path = urlsplit(told).path if "://" in told else told
    return bool(told) and name.replace("\\", "/").lstrip("/") == path.replace("\\", "/").lstrip("/")


def _missing(event: events.FileMissing) -> Line:
    fields = {"name": printable(event.name), "reason": printable(event.reason)}
    return DEBUG, "asked for {name}: {reason}", fields


_LINES: dict[type[Event], Callable[[Any], Line]] = {
    events.Seen: _seen,
    events.Offered: _offered,
    events.Leased: _leased,
    events.Refused: _refusal("refused"),
    events.Ignored: _refusal("ignored"),
    events.Released: lambda event: (INFO, "released {address}", {}),
    events.Declined: lambda event: (
        WARN,
        "declined {address}: somebody else uses it; it rests",
        {},
    ),
    events.Conflict: lambda event: (WARN, "answers already; the address is not given away", {}),
    events.FileMissing: _missing,
    events.TransferBegun: _begun,
    events.TransferEnded: _ended,
    events.TransferFailed: _failed,
}


def _size(count: int) -> str:
    """Bytes for people."""
    if count < 10_000:
        return f"{count} bytes"
    return f"{count / 1e3:.0f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    """How long a lease lasts, for people."""
    if isinf(seconds) or seconds >= 0xFFFFFFFF:
        return "for ever"
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = round(seconds / length, 1)
        if count >= 1:
            return f"for {count:g} {unit}{'' if count == 1 else 's'}"
    return f"for {seconds:.0f} seconds"
