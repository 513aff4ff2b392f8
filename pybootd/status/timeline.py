"""
The event stream folded into one record for each machine: how far its boot has come, and what it fetched.

Pure: the time is that of the events.  Everything is bounded: how many machines, and what is kept of each; whatever a
client said of itself is made printable as it comes in.  Why a boot stopped is L{pybootd.status.diagnosis}'s.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import define, field, frozen

from pybootd import events
from pybootd.events import Event
from pybootd.machine import Firmware
from pybootd.status.roles import FILE, INITRD, KERNEL, LOADER, role_of
from pybootd.text import printable

ASKED, OFFERED, LEASED, RUNNING = "asked", "offered", "leased", "running"
STAGES = (ASKED, OFFERED, LEASED, LOADER, KERNEL, INITRD, RUNNING)
"""The steps of a boot in their order."""

TRANSFERS, LINES, MISSING, LOADS = 16, 40, 12, 8
"""What is kept of one machine: its latest transfers and lines, names that were not there, loaders."""

PAUSE = 120.0
"""Seconds of silence after which a DISCOVER begins another boot, and after which a loader counts anew."""

LOOKING = 8.0
"""Seconds between address and first file, from which on an iPXE waited for something else than this server."""

_FILES = {LOADER, KERNEL, INITRD, RUNNING}
BOOT_SERVER = "REQUEST (boot server)"


@define(eq=False)
class Transfer:
    """A file on its way to a machine."""

    number: int
    protocol: str
    name: str
    role: str
    boot: int
    """Which of the machine's boots it belongs to."""
    size: int | None
    detail: str
    begun: float
    seen: float
    """When something of it was heard last."""
    sent: int = 0
    rate: float = 0.0
    """Bytes a second, lately; over all once it has ended."""
    state: str = "running"
    """C{running}, C{done} or C{failed}."""
    reason: str = ""
    retransmitted: int = 0

    @property
    def left(self) -> float | None:
        """Seconds until it will have ended; None where that cannot be told."""
        if self.state != "running" or self.size is None or self.rate <= 0:
            return None
        return max(0.0, (self.size - self.sent) / self.rate)

    def progress(self, sent: int, now: float) -> None:
        """So much has arrived."""
        if now > self.seen:
            rate = (sent - self.sent) / (now - self.seen)
            self.rate = rate if not self.rate else 0.6 * self.rate + 0.4 * rate
        self.sent, self.seen = sent, now

    def end(self, sent: int, now: float, state: str) -> None:
        """It is over."""
        self.sent, self.seen, self.state = sent, now, state
        if now > self.begun:
            self.rate = sent / (now - self.begun)


@frozen
class Refusal:
    """It was told no, or nothing."""

    time: float
    message: str
    reason: str
    setting: str
    silent: bool
    """It was left without an answer."""


@define(eq=False)
class Record:
    """One machine and its latest boot."""

    key: str
    """Its hardware address; its IP address where only that is known."""
    first_seen: float
    last_seen: float
    mac: str = ""
    address: str = ""
    uuid: str = ""
    hostname: str = ""
    architecture: int | None = None
    firmware: Firmware = Firmware.UNKNOWN
    """What speaks for it now."""
    boots_by: Firmware = Firmware.UNKNOWN
    """What this boot began with."""
    interface: str = ""
    boot_file: str = ""
    """What it was told to load last."""
    boots: int = 1
    stages: dict[str, float] = field(factory=dict)
    """When each step of this boot was reached."""
    transfers: deque[Transfer] = field(factory=lambda: deque(maxlen=TRANSFERS))
    lines: deque[tuple[float, str]] = field(factory=lambda: deque(maxlen=LINES))
    """What happened, for people."""
    discovers: int = 0
    """DISCOVERs since it last took an offer."""
    offers: int = 0
    """Offers that it was sent since."""
    waiting: int = 0
    """Questions to port 4011 since one was answered."""
    files: int = 0
    """Files that it asked for in this boot."""
    refusal: Refusal | None = None
    """How it was turned away the last time, where nothing better came after."""
    missing: dict[str, str] = field(factory=dict)
    """Names it asked for that are not there, and why, since it last got a file."""
    asked_by: str = ""
    """The protocol by which it asked for the last of them."""
    loads: dict[str, int] = field(factory=dict)
    """How often it was given which loader, since it last came beyond."""
    loaded_at: float = 0.0
    leased_at: float = 0.0
    """When it was given its address, where it has not asked for a file since."""
    revision: int = 0
    """Grows with every change."""

    @property
    def current(self) -> list[Transfer]:
        """The transfers of this boot."""
        return [transfer for transfer in self.transfers if transfer.boot == self.boots]

    def say(self, time: float, text: str) -> None:
        """One more line of what happened; the same line again and again is one."""
        if not self.lines or self.lines[-1][1] != text:
            self.lines.append((time, text))

    def reach(self, stage: str, time: float) -> None:
        """It has come so far."""
        self.stages.setdefault(stage, time)

    def served(self) -> None:
        """It took what it was given: what was wrong before does not count any more."""
        self.discovers = self.offers = 0
        self.refusal = None

    def begin(self) -> None:
        """It boots once more."""
        self.boots += 1
        self.stages.clear()
        self.missing.clear()
        self.files = self.waiting = 0
        self.boot_file = ""
        self.boots_by = Firmware.UNKNOWN
        self.served()


class Timeline:
    """
    All machines, the one that was heard of last at the end.

    @ivar limit: how many.
    """

    def __init__(self, limit: int = 10_000) -> None:
        """@param limit: machines; past it the one unheard for longest is forgotten."""
        self.limit = limit
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._by_address: dict[str, str] = {}
        self._transfers: dict[int, tuple[Record, Transfer]] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        """The one that was heard of last is first."""
        return iter(tuple(reversed(self._records.values())))

    @property
    def running(self) -> int:
        """Transfers under way."""
        return len(self._transfers)

    def get(self, key: str) -> Record | None:
        """The machine of this hardware address, or of this IP address where only that is known."""
        return self._records.get(key)

    def apply(self, event: Event) -> Record | None:
        """
        Something happened.

        @return: the machine's record, or None where it concerns none.
        """
        fold = _FOLDS.get(type(event))
        if fold is None:
            return None
        record = self._record(event)
        record.last_seen = max(record.last_seen, event.time)
        record.revision += 1
        fold(self, record, event)
        return record

    # which machine

    def _record(self, event: Event) -> Record:
        address = str(event.address) if event.address is not None else ""
        key = event.mac or self._by_address.get(address, address) or "unknown"
        record = self._records.get(key)
        if record is None:
            record = self._records[key] = Record(key, event.time, event.time, mac=event.mac)
            while len(self._records) > self.limit:
                self._forget(next(iter(self._records.values())))
        else:
            self._records.move_to_end(key)
        if address and not isinstance(event, events.Offered):
            self._settle(record, address)
        return record

    def _settle(self, record: Record, address: str) -> None:
        if record.address == address and self._by_address.get(address) == record.key:
            return
        if self._by_address.get(record.address) == record.key:
            del self._by_address[record.address]
        record.address = address
        self._by_address[address] = record.key

    def _forget(self, record: Record) -> None:
        del self._records[record.key]
        if self._by_address.get(record.address) == record.key:
            del self._by_address[record.address]
        for transfer in record.transfers:
            self._transfers.pop(transfer.number, None)

    # what happened

    def _seen(self, record: Record, event: events.Seen) -> None:
        if _boots_again(record, event):
            record.begin()
            record.say(event.time, "boots")
        record.firmware = event.firmware
        if record.boots_by is Firmware.UNKNOWN and event.firmware is not Firmware.SYSTEM:
            record.boots_by = event.firmware
        record.interface = event.interface or record.interface
        record.uuid = str(event.uuid) if event.uuid is not None else record.uuid
        if event.architecture is not None:
            record.architecture = event.architecture
        record.reach(ASKED, event.time)
        if event.message == "DISCOVER":
            record.discovers += 1
        elif event.message == BOOT_SERVER:
            record.waiting += 1
        elif event.message == "REQUEST (selecting)":
            record.discovers = record.offers = 0
        if event.firmware is Firmware.SYSTEM and _FILES & record.stages.keys():
            record.reach(RUNNING, event.time)
            record.loads.clear()
        record.say(event.time, f"{event.message}, {event.firmware.value}")

    def _offered(self, record: Record, event: events.Offered) -> None:
        record.reach(OFFERED, event.time)
        record.offers += 1
        record.waiting = 0
        record.refusal = None
        record.boot_file = printable(event.boot_file) or record.boot_file
        what = f"offered {event.address}" if event.address is not None else "told its boot file"
        record.say(event.time, what + (f", boot file {record.boot_file}" if record.boot_file else ""))

    def _leased(self, record: Record, event: events.Leased) -> None:
        record.served()
        record.hostname = printable(event.hostname) or record.hostname
        record.uuid = str(event.uuid) if event.uuid is not None else record.uuid
        if event.boot:
            record.reach(LEASED, event.time)
            record.leased_at = event.time
            record.boot_file = printable(event.boot_file)
        else:
            record.reach(RUNNING, event.time)
            record.loads.clear()
        record.say(event.time, f"leased {event.address}")

    def _refused(self, record: Record, event: events.Refused | events.Ignored) -> None:
        silent = isinstance(event, events.Ignored)
        message, reason = printable(event.message), printable(event.reason)
        record.refusal = Refusal(event.time, message, reason, printable(event.setting), silent)
        record.waiting = 0
        record.say(event.time, f"{message} {'ignored' if silent else 'refused'}: {reason}")

    def _released(self, record: Record, event: events.Released) -> None:
        if self._by_address.get(record.address) == record.key:
            del self._by_address[record.address]
        record.address = ""
        record.say(event.time, f"released {event.address}")

    def _declined(self, record: Record, event: events.Declined) -> None:
        reason = f"it declined {event.address}: somebody else uses that address, which rests for an hour"
        record.refusal = Refusal(event.time, "DECLINE", reason, "", False)
        self._released(record, events.Released(event.time, event.mac, event.address, None))
        record.say(event.time, reason)

    def _file_asked(self, record: Record, event: events.FileAsked) -> None:
        record.files += 1
        record.waiting = 0
        waited = event.time - record.leased_at
        if record.leased_at and record.firmware is Firmware.IPXE and waited >= LOOKING:
            record.say(
                event.time,
                f"waited {waited:.0f} s with its address: an iPXE looks for an IPv6 router, unless router_advertisement"
                " says that there is none",
            )
        record.leased_at = 0.0

    def _missing(self, record: Record, event: events.FileMissing) -> None:
        name = printable(event.name)
        if len(record.missing) < MISSING:
            record.missing[name] = printable(event.reason)
        record.asked_by = event.protocol
        record.files += 1
        record.say(event.time, f"{name}: {printable(event.reason)}")

    def _begun(self, record: Record, event: events.TransferBegun) -> None:
        self._transfer(record, event, event.size, event.detail)

    def _transfer(
        self,
        record: Record,
        event: events.TransferBegun | events.TransferEnded | events.TransferFailed,
        size: int | None = None,
        detail: str = "",
    ) -> Transfer:
        if len(record.transfers) == TRANSFERS:
            self._transfers.pop(record.transfers[0].number, None)
        name = printable(event.name)
        role = role_of(name, record.boot_file, LOADER in record.stages)
        transfer = Transfer(
            event.transfer, event.protocol, name, role, record.boots, size, detail, event.time, event.time
        )
        record.transfers.append(transfer)
        record.files += 1
        self._transfers[event.transfer] = (record, transfer)
        return transfer

    def _progress(self, record: Record, event: events.TransferProgress) -> None:
        _, transfer = self._transfers.get(event.transfer, (None, None))
        if transfer is not None:
            transfer.progress(event.sent, event.time)

    def _ended(self, record: Record, event: events.TransferEnded) -> None:
        _, known = self._transfers.pop(event.transfer, (None, None))
        transfer = known or self._transfer(record, event)
        transfer.end(event.sent, event.time, "done")
        transfer.retransmitted = event.retransmitted
        self._transfers.pop(event.transfer, None)
        record.missing.clear()
        record.served()
        if transfer.role != FILE and transfer.boot == record.boots:
            record.reach(transfer.role, event.time)
        self._count_load(record, transfer, event.time)
        record.say(event.time, f"has {transfer.name}: {event.sent} bytes")

    def _count_load(self, record: Record, transfer: Transfer, now: float) -> None:
        """The same loader again and again, and nothing beyond it, is a loop."""
        if transfer.role in (KERNEL, INITRD) or now - record.loaded_at > PAUSE:
            record.loads.clear()
        if transfer.role == LOADER:
            record.loaded_at = now
            if transfer.name in record.loads or len(record.loads) < LOADS:
                record.loads[transfer.name] = record.loads.get(transfer.name, 0) + 1

    def _failed(self, record: Record, event: events.TransferFailed) -> None:
        _, known = self._transfers.pop(event.transfer, (None, None))
        if event.probe:
            if known is not None and known in record.transfers:
                record.transfers.remove(known)
            return
        transfer = known or self._transfer(record, event)
        self._transfers.pop(event.transfer, None)
        transfer.end(event.sent, event.time, "failed")
        transfer.reason = printable(event.reason)
        record.say(event.time, f"did not get {transfer.name}: {transfer.reason}")


def _boots_again(record: Record, event: events.Seen) -> bool:
    """Whether a request begins another boot: a loader's own DISCOVER does not."""
    if event.message not in ("DISCOVER", "BOOTP") or event.firmware is Firmware.SYSTEM or not record.stages:
        return False
    if event.time - max(record.stages.values()) > PAUSE and event.time - _last_transfer(record) > PAUSE:
        return True
    beyond = {KERNEL, INITRD, RUNNING} if event.firmware is Firmware.IPXE else _FILES
    return bool(beyond & record.stages.keys())


def _last_transfer(record: Record) -> float:
    return max((transfer.seen for transfer in record.transfers), default=0.0)


_FOLDS: Mapping[type[Event], Callable[[Timeline, Record, Any], None]] = {
    events.Seen: Timeline._seen,
    events.Offered: Timeline._offered,
    events.Leased: Timeline._leased,
    events.Refused: Timeline._refused,
    events.Ignored: Timeline._refused,
    events.Released: Timeline._released,
    events.Declined: Timeline._declined,
    events.FileAsked: Timeline._file_asked,
    events.FileMissing: Timeline._missing,
    events.TransferBegun: Timeline._begun,
    events.TransferProgress: Timeline._progress,
    events.TransferEnded: Timeline._ended,
    events.TransferFailed: Timeline._failed,
}
