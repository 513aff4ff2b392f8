"""
Whatever happens to a machine, as immutable values on one in-process bus.

DHCP, TFTP and HTTP publish; the log, notifications, metrics, the dashboard and web
hooks subscribe, and know nothing of protocols.  Publishing costs next to nothing when
nobody listens.  A subscriber must return at once: whoever needs longer keeps a bounded queue of
its own and loses from that.  One that raises is reported, and the others go on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address
from itertools import count
from math import isfinite
from uuid import UUID

import attrs

from pybootd.machine import Firmware
from pybootd.value import value


@value
class Event:
    """Something that happened to one machine."""

    time: float
    """Seconds since the epoch."""

    mac: str
    """C{52:54:00:12:34:56}, or nothing where only the address is known."""

    address: IPv4Address | None
    """The machine's IP address, where it has one."""


@value
class Seen(Event):
    """A machine asked for something by DHCP, PXE or BOOTP."""

    message: str
    """DISCOVER, REQUEST, INFORM, BOOTP..."""
    firmware: Firmware
    architecture: int | None
    uuid: UUID | None
    interface: str


@value
class Offered(Event):
    """An OFFER left: C{address} is what it proposes (none in proxy mode)."""

    boot_file: str


@value
class Leased(Event):
    """An ACK left (or a BOOTP reply), after the lease was durable."""

    uuid: UUID | None
    boot: bool
    """The machine showed itself as a PXE or HTTP boot client in this request."""
    boot_file: str
    hostname: str
    expires: float


@value
class Refused(Event):
    """A NAK left, or a file was denied: somebody was told no."""

    message: str
    reason: str
    setting: str
    """The configuration line that decides it, or nothing."""


@value
class Ignored(Event):
    """A request was left unanswered on purpose."""

    message: str
    reason: str
    setting: str
    """The configuration line that decides it, or nothing."""


@value
class Released(Event):
    """The machine gave its address back."""

    uuid: UUID | None


@value
class Declined(Event):
    """The machine found its address in use by somebody else; the address rests."""


@value
class Conflict(Event):
    """An address that was to be given answered a probe; it rests."""


@value
class FileAsked(Event):
    """A file was asked for, by whatever protocol."""

    protocol: str
    """C{tftp} or C{http}."""
    name: str
    """As the client wrote it; escape before showing."""


@value
class FileMissing(Event):
    """The file that was asked for is not there (or not for this machine)."""

    protocol: str
    name: str
    reason: str


@value
class TransferBegun(Event):
    """A file is being sent."""

    protocol: str
    transfer: int
    """A number that the later events of this transfer repeat."""
    name: str
    source: str
    """The path or URL that is behind the name."""
    size: int | None
    """Bytes, where known."""
    detail: str
    """blksize, windowsize, range: what was agreed, for people."""


@value
class TransferProgress(Event):
    """So much has arrived; at most a few each second for one transfer."""

    transfer: int
    sent: int


@value
class TransferEnded(Event):
    """The whole file has arrived."""

    protocol: str
    transfer: int
    name: str
    sent: int
    seconds: float
    retransmitted: int


@value
class TransferFailed(Event):
    """The transfer ended before its end."""

    protocol: str
    transfer: int
    name: str
    sent: int
    reason: str
    probe: bool
    """The client only wanted to know the size (RFC 2349 tsize), as UEFI does: no failure."""


KINDS: Mapping[str, type[Event]] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower(): kind
    for kind in (
        Seen, Offered, Leased, Refused, Ignored, Released, Declined, Conflict, FileAsked, FileMissing, TransferBegun,
        TransferProgress, TransferEnded, TransferFailed,
    )
}  # fmt: skip
"""Every kind of event by the name that programs outside know it by: C{leased}, C{transfer_begun}."""

_NAMES = {kind: name for name, kind in KINDS.items()}


def plain(event: Event) -> dict[str, object]:
    """An event as JSON has it: its kind, as C{event}, and its fields as text, numbers and booleans."""
    fields = {name: _plain(value) for name, value in attrs.asdict(event, recurse=False).items()}
    return {"event": _NAMES[type(event)], **fields}


def _plain(value: object) -> object:
    if isinstance(value, Firmware):
        return value.value
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


Subscriber = Callable[[Event], None]


class Bus:
    """Hands each event to every subscriber, in the order in which they subscribed."""

    def __init__(self, report: Callable[[Subscriber], None] | None = None) -> None:
        """@param report: called inside the except clause when a subscriber raised."""
        self._subscribers: tuple[Subscriber, ...] = ()
        self._report = report
        self._transfers = count(1)

    def number(self) -> int:
        """A number for a new transfer: no other on this bus has it."""
        return next(self._transfers)

    @property
    def listening(self) -> bool:
        """Whether anybody would hear; a publisher may ask before it builds a costly event."""
        return bool(self._subscribers)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """@return: call it to unsubscribe."""
        self._subscribers += (subscriber,)
        return lambda: self._drop(subscriber)

    def publish(self, event: Event) -> None:
        """Tell everybody.  Never raises."""
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:
                if self._report is not None:
                    self._report(subscriber)

    def _drop(self, subscriber: Subscriber) -> None:
        self._subscribers = tuple(other for other in self._subscribers if other is not subscriber)


def record(bus: Bus) -> Sequence[Event]:
    """A list that grows with each event: for tests and for replays."""
    events: list[Event] = []
    bus.subscribe(events.append)
    return events
