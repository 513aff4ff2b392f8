"""
One client's request, from its arrival to its end, and the ceilings that all of them are under.

A client is recognised by its address and port (its TID, RFC 1350 4): the same request from there again is a
repetition, another one means that the client is through with the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from attrs import define, field

from pybootd.content.content import Content
from pybootd.events import (
    Bus,
    FileAsked,
    FileMissing,
    Refused,
    TransferBegun,
    TransferEnded,
    TransferFailed,
    TransferProgress,
)
from pybootd.machine import Machine
from pybootd.tftp.options import Agreement
from pybootd.tftp.packet import Request
from pybootd.tftp.transfer import State

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from pybootd.tftp.lent import Lent
    from pybootd.tftp.session import Session
    from pybootd.tftp.upload import UploadSession

PROGRESS = 0.5
"""Seconds between two reports of one transfer's progress."""


@define(eq=False)
class Visit:
    """
    What one client asked for, and what is told of it.

    @ivar wanted: the file, while its source has not answered.
    @ivar session: the transfer, once it has begun.
    """

    request: Request
    client: tuple[str, int]
    address: IPv4Address
    machine: Machine | None
    begun: float
    """When it was asked for, in the clock of the transfers."""

    destination: int
    """The address that the client wrote to; 0: not known."""

    interface: int
    """The index of the interface where it came in; 0: not known."""

    _bus: Bus
    _time: Callable[[], float]
    wanted: Deferred[Content] | None = None
    session: Session | UploadSession | Lent | None = None
    _number: int = 0
    _told_at: float = 0.0
    _told: int = 0
    name: str = field(init=False)
    """As the client wrote it."""

    def __attrs_post_init__(self) -> None:
        self.name = self.request.name.decode("utf-8", "surrogateescape")

    @property
    def answered(self) -> bool:
        """Whether the client has shown that it is there."""
        return self.session is not None and self.session.transfer.state is not State.ASKED

    def close(self, reason: str) -> None:
        """Break it off."""
        if self.session is not None:
            self.session.close(reason)
        elif self.wanted is not None:
            self.wanted.cancel()

    def tell_asked(self) -> None:
        if self._bus.listening:
            self._bus.publish(FileAsked(*self._head(), "tftp", self.name))

    def tell_refused(self, reason: str, setting: str = "") -> None:
        self._bus.publish(Refused(*self._head(), self.name, reason, setting))

    def tell_missing(self, reason: str) -> None:
        self._bus.publish(FileMissing(*self._head(), "tftp", self.name, reason))

    def tell_unavailable(self, reason: str) -> None:
        """It may well be there, but cannot be had."""
        self._bus.publish(TransferFailed(*self._head(), "tftp", self._bus.number(), self.name, 0, reason, False))

    def tell_begun(self, source: str, size: int | None, agreement: Agreement) -> None:
        self._number = self._bus.number()
        if self._bus.listening:
            what = (*self._head(), "tftp", self._number, self.name)
            self._bus.publish(TransferBegun(*what, source, size, str(agreement)))

    def tell_progress(self, now: float) -> None:
        """What has arrived, when that is new and was not told a moment ago."""
        if self.session is None or now - self._told_at < PROGRESS:
            return
        arrived = self.session.arrived
        if arrived != self._told and self._bus.listening:
            self._told, self._told_at = arrived, now
            self._bus.publish(TransferProgress(*self._head(), self._number, arrived))

    def tell_ended(self, failure: str, now: float) -> None:
        session = self.session
        if session is None or not self._bus.listening:
            return
        what = (*self._head(), "tftp", self._number, self.name, session.arrived)
        if failure:
            self._bus.publish(TransferFailed(*what, failure, session.transfer.probe))
        else:
            self._bus.publish(TransferEnded(*what, now - self.begun, session.transfer.resent))

    def _head(self) -> tuple[float, str, IPv4Address]:
        mac = self.machine.mac if self.machine is not None else ""
        return self._time(), mac, self.address


class Visits:
    """All visits, oldest first; never more than the ceilings allow."""

    def __init__(self, most: int, most_per_client: int) -> None:
        self.most = most
        self.most_per_client = most_per_client
        self._visits: dict[tuple[str, int], Visit] = {}
        self._clients: dict[str, int] = {}

    def __iter__(self) -> Iterator[Visit]:
        return iter(tuple(self._visits.values()))

    def __len__(self) -> int:
        return len(self._visits)

    def sessions(self) -> list[Session | UploadSession | Lent]:
        """The transfers that have begun."""
        return [visit.session for visit in self._visits.values() if visit.session is not None]

    def at(self, client: tuple[str, int]) -> Visit | None:
        """The visit of a client."""
        return self._visits.get(client)

    def make_room(self, address: str, known: bool = True) -> bool:
        """
        Whether one more of this address is possible, if need be in place of the oldest whose client never
        answered: invented clients must not keep out real ones, nor take the place of a known one that has
        only just asked.

        @param known: it is a machine that was given this address here; the last quarter is for those.
        """
        if self._clients.get(address, 0) >= self.most_per_client:
            return self._evict(lambda visit: visit.client[0] == address)
        if len(self._visits) < (self.most if known else self.most - self.most // 4):
            return True
        return self._evict(lambda visit: visit.machine is None) or (known and self._evict(lambda visit: True))

    def _evict(self, which: Callable[[Visit], bool]) -> bool:
        """The oldest of these whose client never answered goes, if there is one."""
        silent = next((visit for visit in self._visits.values() if not visit.answered and which(visit)), None)
        if silent is None:
            return False
        silent.close("the client never answered, and others wait")
        self.remove(silent)
        return True

    def add(self, visit: Visit) -> None:
        """It has begun."""
        address = visit.client[0]
        self._visits[visit.client] = visit
        self._clients[address] = self._clients.get(address, 0) + 1

    def remove(self, visit: Visit) -> None:
        """It is over; idempotent."""
        if self._visits.get(visit.client) is not visit:
            return
        del self._visits[visit.client]
        address = visit.client[0]
        self._clients[address] -= 1
        if not self._clients[address]:
            del self._clients[address]
