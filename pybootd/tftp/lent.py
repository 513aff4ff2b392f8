"""A read transfer that another process carries out, as the server sees it: in place of its session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import define

from pybootd.tftp.session import Session
from pybootd.tftp.transfer import NEVER, State


class Owner(Protocol):
    """Who is told of its end."""

    def ended(self, session: Lent, failure: str) -> None:
        """It is over; C{failure} is empty when the client has the whole file."""


class Carrier(Protocol):
    """The process that carries it out, in as far as it is about this transfer."""

    def drop(self) -> None:
        """Give it up, and tell nothing more of it."""

    def look(self) -> None:
        """Tell what there is to tell, then call L{Lent.looked}."""


class Lender(Protocol):
    """Knows other processes."""

    def lend(self, session: Session, mtu: int, timeout: float, retries: int, owner: Owner) -> Lent | None:
        """
        Let another process go on with a transfer whose client has ACKed the first packet.

        @return: what stands for it; None where it stays here.
        """


@define
class Standing:
    """How far it has come, in as far as the server asks: its deadlines are kept elsewhere."""

    resent: int = 0
    state: State = State.SENDING
    deadline: float = NEVER
    paced: bool = False
    probe: bool = False


class Lent:
    """
    Used as L{pybootd.tftp.session.Session} is.

    @ivar arrived: bytes that the client had when the other process last told.
    """

    blocked = False
    shares = False

    def __init__(self, client: tuple[str, int], arrived: int, resent: int, owner: Owner) -> None:
        self.client = client
        self.arrived = arrived
        self.transfer = Standing(resent)
        self.carrier: Carrier | None = None
        self._owner = owner
        self._open = True
        self._after: Callable[[], None] | None = None

    # the server's side

    def receive(self, datagram: bytes, now: float) -> None:
        """Nothing comes this way: the transfer has a socket of its own."""

    def writable(self, now: float) -> None:
        """Nor is anything sent from here."""

    def expire(self, now: float) -> None:
        """Nor is anything due here."""

    def settle(self, after: Callable[[], None]) -> None:
        """
        Call C{after} as soon as it is known whether the transfer is over: its end may be on its way.

        Who asks again meanwhile takes the place of the one before.
        """
        first, self._after = self._after is None, after
        if first and self.carrier is not None:
            self.carrier.look()

    def close(self, failure: str) -> None:
        """Break it off; idempotent."""
        if self._open and self.carrier is not None:
            self.carrier.drop()
        self._end(failure)

    # the other process's side

    def progressed(self, sent: int, resent: int) -> None:
        """So many bytes have arrived."""
        self.arrived, self.transfer.resent = sent, resent

    def looked(self) -> None:
        """All that there was to tell has been told."""
        after, self._after = self._after, None
        if after is not None:
            after()

    def ended(self, failure: str) -> None:
        """It is over there."""
        self._end(failure)
        self.looked()

    def _end(self, failure: str) -> None:
        if self._open:
            self._open = False
            self._owner.ended(self, failure)
