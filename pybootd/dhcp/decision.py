"""
What is to be done about one request, and why: the output of the decision.

A L{Decision} is a value.  Whoever carries it out commits its C{claim} first and sends its C{reply} after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum

from attrs import field

from pybootd.config.origin import Origin
from pybootd.leases.lease import Claim
from pybootd.plain import plain
from pybootd.value import value


@plain
class MessageType(IntEnum):
    """Option 53 (RFC 2132 9.6); 0 stands for a BOOTP reply, which has none."""

    BOOTP = 0
    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


@value
class Step:
    """One rule that was tried, for C{pybootd explain} and the dashboard."""

    rule: str
    """What was asked, a few words: C{boot file for x64-uefi}."""
    outcome: str
    """What came of it: C{bootx64.efi}."""
    origin: Origin | None = None
    """The line of the configuration that it comes from."""


class Common(dict[int, bytes]):
    """
    Options that many replies have in common; nobody changes them.

    They are written once, by L{pybootd.dhcp.packet}: that took as long as all else that is written of a reply.
    """

    __slots__ = ("area",)

    def __init__(self, options: Mapping[int, bytes]) -> None:
        super().__init__(options)
        self.area = b""
        """As they leave, once they have."""


@value
class Reply:
    """The fields of one answer; L{pybootd.dhcp.policy} fills them, L{pybootd.dhcp.packet} writes them."""

    type: MessageType
    yiaddr: int = 0
    ciaddr: int = 0
    siaddr: int = 0
    giaddr: int = 0
    flags: int = 0
    sname: bytes = b""
    file: bytes = b""
    options: Mapping[int, bytes] = field(factory=dict)
    """Encoded values in the order in which they are to leave; 53 first."""
    own: Mapping[int, bytes] = field(factory=dict)
    """The same of this machine alone, behind the others; 82 last."""

    boot_file: str = ""
    """The file or URL handed out, as configured: for events."""

    form: str = ""
    """How a client that boots is told what to load: the name in the table of quirks."""

    @property
    def told(self) -> dict[int, bytes]:
        """All options."""
        return {**self.options, **self.own}


@value
class Decision:
    """What to do, and the trace of how it came about."""

    replies: tuple[Reply, ...] = ()
    """Nothing: stay silent.  Two: the two proxy offers of different form."""

    claim: Claim | None = None
    """To be durable before the reply leaves."""

    offer: int = 0
    """The address to hold for this machine for a while (an OFFER): memory only."""

    release: bool = False
    """The machine's offer, if any, is void: it chose another server, or has its lease already."""

    wants_address: Callable[[int], Decision] | None = None
    """It would be served if there were a free address for it: what is decided then."""

    reason: str = ""
    """Why it is refused or ignored, a sentence for people; empty when it is served."""

    origin: Origin | None = None
    """The configuration line behind the reason, where there is one."""

    setting: str = ""
    """The same as text, where an access backend named it."""

    denied: bool = False
    """The reason is that access is denied: it holds for files too."""

    next_boot: bool = False
    """The file that is handed out is the one that was ordered for this boot only."""

    uses: int = 0
    """The address that the machine is about to use, by another server's word (proxy)."""

    routine: bool = False
    """Silence that nobody need be told of: the request was for another server."""

    trace: tuple[Step, ...] = ()
