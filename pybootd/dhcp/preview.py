"""
Whose answer changes with the settings: each known machine's first question, decided under the old ones and the new.

Pure: what is known of the machines is an argument, as time is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from attrs import frozen

from pybootd.dhcp.client import understand, vendor_class
from pybootd.dhcp.decision import Decision, MessageType
from pybootd.dhcp.delivery import ETHERNET
from pybootd.dhcp.facts import ALLOWED, Facts
from pybootd.dhcp.options import dotted
from pybootd.dhcp.packet import BOOTREQUEST, MESSAGE_TYPE, MINIMUM, Packet, encode
from pybootd.dhcp.policy import decide, network_of
from pybootd.dhcp.request import Request
from pybootd.dhcp.settings import Network, Settings
from pybootd.interfaces import Verdict
from pybootd.leases.lease import Lease
from pybootd.machine import mac_text
from pybootd.text import printable

WANTED = bytes((1, 3, 6, 12, 15, 28, 43, 51, 66, 67))
"""The options that the question asks for."""


@frozen
class Known:
    """One machine, as the server remembers it."""

    mac: bytes
    architecture: int | None = None
    uuid: UUID | None = None
    booted: bool = False
    leases: tuple[Lease, ...] = ()


@frozen
class Side:
    """One of the two worlds."""

    settings: Settings
    verdict: Callable[[Known], Verdict] = lambda known: ALLOWED
    """What the access lists say of a machine, as far as that can be known without asking anybody."""


@frozen
class Difference:
    """One machine that gets another answer."""

    mac: str
    what: str

    def __str__(self) -> str:
        return f"{self.mac} {self.what}"


def differences(before: Side, after: Side, machines: Iterable[Known], now: float) -> Sequence[Difference]:
    """
    The machines whose answer changes, and in what.

    @param now: seconds since the epoch.
    """
    found = []
    for known in machines:
        old, new = _answer(before, known, now), _answer(after, known, now)
        if old.replies != new.replies:
            found.append(Difference(mac_text(known.mac), _what(old, new)))
    return found


@frozen
class _Answer:
    """What a machine notices."""

    replies: tuple[bytes, ...]
    address: int
    boot_file: str
    reason: str


def _answer(side: Side, known: Known, now: float) -> _Answer:
    settings = side.settings
    lease, request = _question(settings, known)
    facts = Facts(now, side.verdict(known), lease, booted=known.booted)
    decision = decide(request, settings, facts, traced=False)
    network = network_of(request, settings)
    if decision.wants_address and network is not None:
        # which one is free only the running pool knows: the first stands for any
        decision = decision.wants_address(network.pool_first)
    return _seen(decision, request)


def _seen(decision: Decision, request: Request) -> _Answer:
    first = decision.replies[0] if decision.replies else None
    return _Answer(
        tuple(encode(reply, request) for reply in decision.replies),
        first.yiaddr if first is not None else 0,
        first.boot_file if first is not None else "",
        decision.reason,
    )


def _question(settings: Settings, known: Known) -> tuple[Lease | None, Request]:
    """The machine's DISCOVER, as it would arrive on the network where it has its lease; else on the first."""
    network, lease = settings.networks[0], None
    for one in known.leases:
        found = settings.network_with(one.address)
        if found is not None:
            network, lease = found, one
            break
    said = {MESSAGE_TYPE: bytes((MessageType.DISCOVER,)), 55: WANTED}
    if known.architecture is not None:
        said[60] = vendor_class(known.architecture)
        said[93] = known.architecture.to_bytes(2, "big")
    if known.uuid is not None:
        said[97] = b"\0" + known.uuid.bytes_le
    packet = Packet(
        op=BOOTREQUEST, htype=ETHERNET, hops=0, xid=1, secs=0, flags=0, ciaddr=0, yiaddr=0, siaddr=0,
        giaddr=_relay(network), chaddr=known.mac, sname=b"", file=b"", options=said, size=MINIMUM,
    )  # fmt: skip
    return lease, understand(packet, interface=network.interface)


def _relay(network: Network) -> int:
    """An address that a relay on that network could have; 0 where it is this server's own network."""
    return 0 if network.interface else network.first + 1


def _what(old: _Answer, new: _Answer) -> str:
    if not new.replies:
        return f"is not answered any more: {printable(new.reason, 300)}"
    parts = [
        f"{name} {before or '(none)'} -> {after or '(none)'}"
        for name, before, after in (
            ("address", _dotted(old.address), _dotted(new.address)),
            ("boot file", printable(old.boot_file), printable(new.boot_file)),
        )
        if before != after
    ]
    said = ", ".join(parts)
    if not old.replies:
        return f"is answered from now on: {said}"
    return said or "gets other options"


def _dotted(address: int) -> str:
    return dotted(address) if address else ""
