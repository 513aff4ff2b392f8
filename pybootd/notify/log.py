"""
The event stream as log lines: one calm line for each step of a boot, with the machine and what it means to a person.

Events are only put aside when they happen; the lines are written together a moment later, so that a storm of machines
does not wait for the log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger, LogLevel
from zope.interface import implementer

from pybootd import events
from pybootd.dhcp.architectures import name_of
from pybootd.events import Event
from pybootd.interfaces import INotifier
from pybootd.text import printable
from pybootd.throttle import Throttle

WAITING = 20_000
"""Events that may wait for their line; what comes on top is counted, and the count is logged."""

DELAY = 0.05
"""Seconds until the lines of what happened are written."""

Line = tuple[LogLevel, str, dict[str, Any]]


@implementer(INotifier)
class EventLog:
    """Writes events down as lines."""

    log = Logger("pybootd")
    name = "log"

    def __init__(self, call_later: Callable[..., Any], clock: Callable[[], float], lines_per_client: int = 50) -> None:
        """@param lines_per_client: lines about one machine within ten seconds; the rest is counted."""
        self._call_later = call_later
        self._waiting: deque[Event] = deque()
        self._scheduled = False
        self._lost = 0
        self._throttle = Throttle(clock, often=lines_per_client, period=10.0)

    def notify(self, event: Event) -> None:
        if len(self._waiting) >= WAITING:
            self._lost += 1
            return
        self._waiting.append(event)
        if not self._scheduled:
            self._scheduled = True
            self._call_later(DELAY, self.flush)

    def close(self) -> Deferred[None]:
        self.flush()
        return succeed(None)

    def flush(self) -> None:
        """Write everything that waits."""
        self._scheduled = False
        while self._waiting:
            event = self._waiting.popleft()
            describe = _LINES.get(type(event))
            if describe is None:
                continue
            level, text, fields = describe(event)
            if self._throttle.admits(event.mac or event.address):
                self.log.emit(level, "{client} " + text, client=event.mac or str(event.address), **fields)
            else:
                self._lost += 1
        if self._lost:
            self.log.warn("{count} lines were left out: more happened than is worth writing down", count=self._lost)
            self._lost = 0


def _seen(event: events.Seen) -> Line:
    what = "{message} from {firmware}" + (", {architecture}" if event.architecture is not None else "")
    what += " on {interface}" if event.interface else ""
    fields = {
        "message": event.message,
        "firmware": event.firmware.value,
        "architecture": name_of(event.architecture),
        "interface": event.interface,
    }
    return LogLevel.debug if event.message.startswith("REQUEST") else LogLevel.info, what, fields


def _offered(event: events.Offered) -> Line:
    what = "is offered {address}" if event.address is not None else "is told its boot file by a proxy"
    file = " and {file}" if event.boot_file else ""
    return LogLevel.info, what + file, {"address": event.address, "file": printable(event.boot_file)}


def _leased(event: events.Leased) -> Line:
    file = ", boot file {file}" if event.boot_file else ""
    return LogLevel.info, "has {address}" + file, {"address": event.address, "file": printable(event.boot_file)}


def _refusal(verb: str) -> Callable[[Any], Line]:
    def describe(event: events.Refused | events.Ignored) -> Line:
        where = " ({setting})" if event.setting else ""
        fields = {"message": event.message, "reason": printable(event.reason), "setting": printable(event.setting)}
        return LogLevel.info, "{message} " + verb + ": {reason}" + where, fields

    return describe


def _begun(event: events.TransferBegun) -> Line:
    size = f", {_size(event.size)}" if event.size is not None else ""
    fields = {"name": printable(event.name), "protocol": event.protocol.upper(), "detail": event.detail, "size": size}
    return LogLevel.debug, "fetches {name} by {protocol}{size} ({detail})", fields


def _ended(event: events.TransferEnded) -> Line:
    fields = {
        "name": printable(event.name),
        "size": _size(event.sent),
        "seconds": f"{event.seconds:.2f}",
        "again": f", {event.retransmitted} blocks sent again" if event.retransmitted else "",
        "protocol": event.protocol.upper(),
    }
    return LogLevel.info, "has {name}: {size} by {protocol} in {seconds} s{again}", fields


def _failed(event: events.TransferFailed) -> Line:
    fields = {"name": printable(event.name), "size": _size(event.sent), "reason": printable(event.reason)}
    if event.probe:
        return LogLevel.debug, "asked for the size of {name}", fields
    return LogLevel.warn, "did not get {name}: {reason} (after {size})", fields


def _missing(event: events.FileMissing) -> Line:
    return (
        LogLevel.debug,
        "asked for {name}: {reason}",
        {"name": printable(event.name), "reason": printable(event.reason)},
    )


_LINES: dict[type[Event], Callable[[Any], Line]] = {
    events.Seen: _seen,
    events.Offered: _offered,
    events.Leased: _leased,
    events.Refused: _refusal("refused"),
    events.Ignored: _refusal("ignored"),
    events.Released: lambda event: (LogLevel.info, "released {address}", {"address": event.address}),
    events.Declined: lambda event: (
        LogLevel.warn,
        "found {address} in use by somebody else; it rests for an hour",
        {"address": event.address},
    ),
    events.Conflict: lambda event: (LogLevel.warn, "answers already; the address is not given away", {}),
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
