"""
The latest exchanges with each machine: the packets as they were, and each decision with its trace; for the dashboard.

Bounded: so many machines, so many exchanges of each, so many bytes of each packet.  A packet is decoded only when
somebody reads it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence

from attrs import define, field

from pybootd.dhcp.decision import Decision, Step
from pybootd.dhcp.dump import dump
from pybootd.dhcp.packet import decode
from pybootd.dhcp.request import Request
from pybootd.errors import MalformedPacket
from pybootd.text import printable

MACHINES = 2000
KEPT = 8
"""Exchanges of one machine: a boot has four or five."""

REPLIES = 2
LARGEST = 1500
"""Bytes; honest packets are a third of it."""


@define(eq=False)
class Exchange:
    """One request and what came of it."""

    time: float
    message: str
    xid: int
    asked: bytes
    trace: tuple[Step, ...] = ()
    replies: list[bytes] = field(factory=list)


class Exchanges:
    """What was said lately, by machine."""

    def __init__(self, machines: int = MACHINES) -> None:
        self._machines = machines
        self._of: OrderedDict[str, deque[Exchange]] = OrderedDict()

    def asked(self, mac: str, request: Request, data: bytes, now: float) -> None:
        """A machine asked; C{data} is the packet."""
        exchanges = self._of.setdefault(mac, deque(maxlen=KEPT))
        self._of.move_to_end(mac)
        if len(self._of) > self._machines:
            self._of.popitem(last=False)
        exchanges.append(Exchange(now, request.kind.value, request.xid, data[:LARGEST]))

    def decided(self, mac: str, request: Request, decision: Decision) -> None:
        """What is done about it; where it is decided about twice, the last word counts."""
        exchange = self._find(mac, request)
        if exchange is not None:
            exchange.trace = decision.trace

    def replied(self, mac: str, request: Request, data: bytes) -> None:
        """A packet leaves for it."""
        exchange = self._find(mac, request)
        if exchange is not None and len(exchange.replies) < REPLIES:
            exchange.replies.append(data[:LARGEST])

    def _find(self, mac: str, request: Request) -> Exchange | None:
        for exchange in reversed(self._of.get(mac, ())):
            if exchange.xid == request.xid and exchange.message == request.kind.value:
                return exchange
        return None

    def of(self, mac: str) -> Sequence[dict[str, object]]:
        """The exchanges of a machine as JSON has them, the latest first."""
        return [
            {
                "time": one.time,
                "message": one.message,
                "trace": [_step(step) for step in one.trace],
                "request": _lines(one.asked),
                "replies": [_lines(reply) for reply in one.replies],
            }
            for one in reversed(self._of.get(mac, ()))
        ]


def _step(step: Step) -> dict[str, str]:
    setting = str(step.origin) if step.origin is not None and step.origin.line else ""
    return {"rule": printable(step.rule), "outcome": printable(step.outcome), "setting": printable(setting, 300)}


def _lines(data: bytes) -> list[str]:
    try:
        return list(dump(decode(data)))
    except MalformedPacket as error:
        return [printable(str(error))]
