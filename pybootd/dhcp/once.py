"""
The next boot of a machine: a file that it is told once, in place of the usual one.

An order counts until the machine was given its file: an ACK, or a BOOTP reply, left with it.  Beside another server
(proxy) that is the ACK of port 4011; where the OFFER named the file already, the order is carried out when the machine,
having taken its address, comes again.  A machine that did not hear the ACK asks the same question again, and gets the
same answer.

Pure, but for L{Orders}: time is an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from attrs import define

from pybootd.dhcp.decision import MessageType
from pybootd.dhcp.request import Kind, Request

REPEATS = 60.0
"""Seconds for which the same question gets the same answer again."""

LIMIT = 4096
"""Machines of which it is known what they were told; the latest."""


class Orders(Protocol):
    """The list of next boots, where a power cut does not reach it."""

    def of(self, key: bytes) -> str:
        """The file that this machine is to boot next; nothing where no order is.  Never raises, never waits."""

    def done(self, key: bytes) -> None:
        """It was given to the machine."""


@define
class _Told:
    xid: int
    file: str
    when: float
    given: bool = False
    taken: bool = False
    """It took another server's address after our offer."""


class Once:
    """Carries orders out."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._told: OrderedDict[bytes, _Told] = OrderedDict()

    def file(self, key: bytes, request: Request, now: float) -> str:
        """What a machine that boots is to be told this time in place of the usual; nothing: the usual."""
        told = self._told.get(key)
        if told is not None and told.xid != request.xid:
            if told.taken and not told.given and request.kind is Kind.DISCOVER:
                self._orders.done(key)
            if told.given or request.kind is Kind.DISCOVER:
                del self._told[key]
        elif told is not None and told.given and now - told.when < REPEATS:
            return told.file
        return self._orders.of(key)

    def told(self, key: bytes, request: Request, type: MessageType, file: str, now: float) -> bool:
        """
        A reply left that names it.

        @return: whether the order is carried out now, for the first time.
        """
        given = type in (MessageType.ACK, MessageType.BOOTP)
        before = self._told.get(key)
        again = before is not None and before.given and before.xid == request.xid
        self._told[key] = _Told(request.xid, file, now, given)
        self._told.move_to_end(key)
        if len(self._told) > LIMIT:
            self._told.popitem(last=False)
        if given and not again:
            self._orders.done(key)
        return given and not again

    def took(self, key: bytes) -> None:
        """The machine took another server's address."""
        told = self._told.get(key)
        if told is not None:
            told.taken = True
