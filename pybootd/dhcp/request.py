"""
What a client asks, once its packet is understood: the input of the decision.

L{pybootd.dhcp.client} makes a L{Request} of a packet; L{pybootd.dhcp.policy} decides about it.  Addresses are
integers in host order, 0 where absent, as everywhere inside the DHCP room.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from attrs import field

from pybootd.machine import Firmware
from pybootd.plain import plain
from pybootd.value import value

INFINIBAND = 32
"""htype, where 1 is Ethernet."""


@plain
class Kind(Enum):
    """What a message wants (RFC 2131 4.3; the four kinds of REQUEST are told apart as in 4.3.2)."""

    BOOTP = "BOOTP"
    DISCOVER = "DISCOVER"
    SELECTING = "REQUEST (selecting)"
    INIT_REBOOT = "REQUEST (init-reboot)"
    RENEWING = "REQUEST (renewing)"
    REBINDING = "REQUEST (rebinding)"
    DECLINE = "DECLINE"
    RELEASE = "RELEASE"
    INFORM = "INFORM"
    BOOT_SERVER = "REQUEST (boot server)"
    """A PXE client that has an address asks for its file: port 4011, or everybody (PXE 2.1 2.2.3)."""


@value
class Relay:
    """Option 82 of a request: who relayed it, and for which network."""

    raw: bytes
    """The whole option as it came; it is echoed unchanged, and last (RFC 3046 2.2)."""
    link: int = 0
    """Sub-option 5, link selection (RFC 3527): the network to choose from."""
    server: int = 0
    """Sub-option 11, server identifier override (RFC 5107)."""


@value
class Request:
    """One client's question.  Whatever stands here may be forged."""

    kind: Kind
    xid: int
    flags: int
    htype: int
    chaddr: bytes
    """The first hlen bytes of the field: 6 for Ethernet."""

    ciaddr: int = 0
    giaddr: int = 0

    source: tuple[str, int] = ("0.0.0.0", 68)
    """Where the datagram came from."""

    port: int = 67
    """The server port that it was sent to: 67 or 4011."""

    interface: int = 0
    """The index of the interface it arrived on."""

    unicast: bool = False
    """The client sent it to this server alone, not to everybody: tells RENEWING from REBINDING."""

    requested: int = 0
    """Option 50."""
    server: int = 0
    """Option 54."""
    client_id: bytes = b""
    uuid: bytes = b""
    """Option 97 without its type byte: 16 bytes in wire order, or none."""

    architectures: tuple[int, ...] = ()
    """Option 93, in the client's order; else the five digits in option 60."""
    vendor_class: bytes = b""
    firmware: Firmware = Firmware.UNKNOWN
    ipxe_features: frozenset[int] = frozenset()
    """Tags in option 175 whose value is true: 0x13 HTTP, 0x12 AoE..., where the client is iPXE."""

    parameters: tuple[int, ...] = ()
    """Option 55, in the client's order."""
    max_size: int = 0
    """
    Bytes that the client says it reads, with IP and UDP headers: option 57, or the size of its own packet where that is
    BOOTP; 0 where it says nothing.  Never to be trusted upwards: EDK2 says 65280.
    """
    hostname: str = ""
    relay: Relay | None = None
    subnet: int = 0
    """Option 118, subnet selection (RFC 3011)."""
    menu_item: tuple[int, int] | None = None
    """Option 43 sub-option 71: (boot server type, layer)."""
    options: Mapping[int, bytes] = field(factory=dict)
    """Every option as it came (RFC 3396 pieces joined), for what has no field of its own."""

    boots: bool = field(init=False)
    """Whether it wants a boot file: PXE, UEFI HTTP boot, iPXE, or BOOTP, which is for nothing else."""

    @boots.default
    def _wants_file(self) -> bool:
        return self.firmware not in (Firmware.UNKNOWN, Firmware.SYSTEM) or self.kind is Kind.BOOTP

    key: bytes = field(init=False)
    """
    By what the machine is known: its hardware address, which all that runs on it shares (not option 61, which changes
    from ROM to operating system); for InfiniBand, whose field is empty, option 61 (RFC 4390 2.1).
    """

    @key.default
    def _known_by(self) -> bytes:
        return self.client_id if self.htype == INFINIBAND else self.chaddr

    @property
    def architecture(self) -> int | None:
        """The architecture that the client names first, if any."""
        return self.architectures[0] if self.architectures else None
