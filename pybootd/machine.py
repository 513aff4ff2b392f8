"""
What is known of one machine.

DHCP learns a machine's identity and gives it an address; TFTP and HTTP recognise it by
that address; filters, templates, access backends and the dashboard all ask here.
Addresses are objects here, at the edge; inside the DHCP room they are integers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from enum import Enum
from ipaddress import IPv4Address
from typing import Protocol
from uuid import UUID

from attrs import define, field, frozen

from pybootd.plain import plain


@plain
class Firmware(Enum):
    """What kind of program speaks for the machine at the moment."""

    UNKNOWN = "unknown"
    PXE = "PXE"
    HTTP_BOOT = "HTTP boot"
    IPXE = "iPXE"
    RASPBERRY_PI = "Raspberry Pi"
    U_BOOT = "U-Boot"
    SYSTEM = "operating system"


@plain
class Stage(Enum):
    """How far the machine has come, in the order of a boot."""

    SEEN = "asked"
    OFFERED = "offered"
    LEASED = "leased"
    LOADING = "loading"
    RUNNING = "system up"
    REFUSED = "refused"


@frozen
class Refusal:
    """Why a machine is not served."""

    reason: str
    setting: str = ""
    """The configuration line that decides it, or nothing."""


@define(eq=False)
class Machine:
    """
    One machine, identified by its hardware address.

    Everything a client said of itself may be forged; it is data, never a permission.
    """

    mac: str
    """Lower case with colons: C{52:54:00:12:34:56}."""

    uuid: UUID | None = None
    architecture: int | None = None
    """Option 93 (RFC 4578 2.1; IANA "Processor Architecture Types")."""

    firmware: Firmware = Firmware.UNKNOWN
    address: IPv4Address | None = None
    hostname: str = ""
    stage: Stage = Stage.SEEN
    boot_file: str = ""
    """The boot file that the access server named for it (C{file:}), or nothing."""

    variables: Mapping[str, str] = field(factory=dict)
    """C{var.NAME} of its C{[host MAC]} section."""

    refusal: Refusal | None = None
    """Access was denied to it the last time that it asked by DHCP: it gets no file either."""

    leased: tuple[object, float] = (None, 0.0)
    """The question whose answer gave it its address the last time, and when that was told."""

    booted: bool = False
    """It has shown itself as a boot client; its operating system is served after that."""

    first_seen: float = 0.0
    last_seen: float = 0.0

    @property
    def dashed(self) -> str:
        """The hardware address as configuration files and URLs have it: C{52-54-00-12-34-56}, upper case."""
        return self.mac.replace(":", "-").upper()


class Records(Protocol):
    """Who is on record from an earlier run, or was seen too long ago to be kept in mind."""

    def of(self, mac: str) -> Machine | None:
        """What is on record of the machine with that hardware address."""

    def at(self, address: IPv4Address) -> Machine | None:
        """What is on record of the machine that was given that IP address."""

    def __len__(self) -> int: ...


class Nothing:
    """No records."""

    def of(self, mac: str) -> None:
        return None

    def at(self, address: IPv4Address) -> None:
        return None

    def __len__(self) -> int:
        return 0


class Machines:
    """
    The machines that were seen lately, by hardware address and by IP address; whoever is on record counts as seen once
    somebody asks for it, and takes no memory before.

    Bounded: when C{limit} is passed the one is forgotten that was unseen for longest, among those without an
    address if there are any: a flood of invented hardware addresses costs a fixed amount of memory, and no machine
    that was given an address its place.

    @ivar records: who is known without having been seen.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self.limit = limit
        self.records: Records = Nothing()
        self._by_mac: OrderedDict[str, Machine] = OrderedDict()
        self._strangers: OrderedDict[str, Machine] = OrderedDict()
        """Those without an address."""
        self._by_address: dict[int, Machine] = {}
        """By number: to hash an C{IPv4Address} takes four times as long."""

    def __len__(self) -> int:
        return len(self._by_mac)

    def __bool__(self) -> bool:
        """Whether anybody is known at all."""
        return bool(self._by_mac or self.records)

    def __iter__(self) -> Iterator[Machine]:
        return iter(tuple(self._by_mac.values()))

    def get(self, mac: str) -> Machine | None:
        """The machine with that hardware address, if it was seen or is on record."""
        return self._by_mac.get(mac) or self._recalled(self.records.of(mac))

    def at(self, address: IPv4Address) -> Machine | None:
        """The machine that was given that IP address."""
        return self._by_address.get(int(address)) or self._recalled(self.records.at(address))

    def see(self, mac: str, now: float) -> Machine:
        """The machine with that hardware address, new if need be; it counts as seen C{now} (seconds)."""
        machine = self.get(mac)
        if machine is None:
            machine = self._admit(Machine(mac, first_seen=now))
        else:
            self._by_mac.move_to_end(mac)
            if mac in self._strangers:
                self._strangers.move_to_end(mac)
        machine.last_seen = now
        return machine

    def _recalled(self, record: Machine | None) -> Machine | None:
        """Somebody asks for a machine that is on record; of one that was seen more is known than that."""
        if record is None or record.mac in self._by_mac:
            return None
        address, record.address = record.address, None
        self.settle(self._admit(record), address)
        return record

    def _admit(self, machine: Machine) -> Machine:
        while len(self._by_mac) >= max(1, self.limit):
            self._forget(next(iter((self._strangers or self._by_mac).values())))
        self._by_mac[machine.mac] = self._strangers[machine.mac] = machine
        return machine

    def settle(self, machine: Machine, address: IPv4Address | None) -> None:
        """The machine now has this address, or none; whoever had it before has it no longer."""
        if address is not None and (address is machine.address or address == machine.address):
            return  # as most say, more than once
        self._vacate(machine)
        self._place(machine, address)
        if address is not None:
            number = int(address)
            before = self._by_address.get(number)
            if before is not None:
                self._place(before, None)
            self._by_address[number] = machine

    def _vacate(self, machine: Machine) -> None:
        if machine.address is not None and self._by_address.get(int(machine.address)) is machine:
            del self._by_address[int(machine.address)]

    def _place(self, machine: Machine, address: IPv4Address | None) -> None:
        machine.address = address
        if address is not None:
            self._strangers.pop(machine.mac, None)
        elif self._by_mac.get(machine.mac) is machine:
            self._strangers[machine.mac] = machine

    def _forget(self, machine: Machine) -> None:
        del self._by_mac[machine.mac]
        self._strangers.pop(machine.mac, None)
        self._vacate(machine)


def mac_bytes(mac: str) -> bytes:
    """A hardware address as it is in packets."""
    return bytes.fromhex(mac.replace(":", ""))


def mac_text(chaddr: bytes) -> str:
    """A hardware address as text: lower case hexadecimal, colons between."""
    return chaddr.hex(":")
