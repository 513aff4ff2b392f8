"""C{pybootd explain}: without a network, what a client would get, step by step, and which line decides it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import Any
from uuid import UUID

from twisted.python import usage

from pybootd.commands.offline import Access, OfflineOptions, answers, traced
from pybootd.config import Config
from pybootd.config.loading import load
from pybootd.config.origin import Origin
from pybootd.config.words import address as address_word
from pybootd.config.words import mac as mac_word
from pybootd.content.urls import is_url
from pybootd.dhcp.architectures import named
from pybootd.dhcp.client import understand, vendor_class
from pybootd.dhcp.decision import Decision, MessageType
from pybootd.dhcp.delivery import ETHERNET
from pybootd.dhcp.facts import Facts
from pybootd.dhcp.packet import BOOTREQUEST, MESSAGE_TYPE, MINIMUM, Packet
from pybootd.dhcp.policy import decide, network_of
from pybootd.dhcp.request import Request
from pybootd.dhcp.settings import Network, Settings
from pybootd.errors import ContentError
from pybootd.flags import Flags
from pybootd.here import settings_here
from pybootd.library import Library, Named
from pybootd.machine import Firmware, Machine, mac_text
from pybootd.orders import OrderBook, place_of
from pybootd.text import printable


class ExplainOptions(OfflineOptions):
    """C{pybootd explain}."""

    synopsis = "Usage: pybootd explain --mac MAC [options]"
    optParameters = [
        *OfflineOptions.optParameters,
        ["mac", None, None, "The machine's hardware address."],
        [
            "arch",
            None,
            None,
            "Its architecture, as in [bootfile]: 7, 00007, x64-uefi...  Without it: a running system.",
        ],
        ["uuid", None, None, "Its UUID."],
        ["user-class", None, None, "Option 77, e.g. iPXE."],
        ["vendor-class", None, None, "Option 60; where --arch is given PXEClient, HTTPClient or U-Boot is assumed."],
        ["giaddr", None, None, "The relay that it asks through."],
    ]

    def postOptions(self) -> None:
        super().postOptions()
        if not self["mac"]:
            raise usage.UsageError("explain needs --mac AA-BB-CC-DD-EE-FF")


def explain(options: ExplainOptions, flags: Flags) -> int:
    """Print the decision about a first request of this client, and its trace."""
    config = load(flags)
    settings = settings_here(config, options.host())
    request = _request(options, settings)
    facts = _facts(config, request)
    decision = decide(request, settings, facts)
    network = network_of(request, settings)
    if decision.wants_address and network is not None:
        # which address is free only the running server knows; any of the pool shows what would be answered
        decision = decision.wants_address(network.pool_first)
    for line in traced(decision):
        print(line)
    for line in _file(config, request, decision, network):
        print(line)
    for packet in answers(decision, request):
        print("", *packet, sep="\n")
    if not decision.replies:
        print("\nno answer")
    return 0


def _request(options: ExplainOptions, settings: Settings) -> Request:
    """The DISCOVER of such a client, as it would arrive on the first network."""
    chaddr = _value(options, "mac", mac_word)
    architecture = _value(options, "arch", named)
    uuid = _value(options, "uuid", _uuid) or b""
    giaddr = int(_value(options, "giaddr", address_word) or 0)
    vendor = options["vendor-class"]
    said = {MESSAGE_TYPE: bytes((MessageType.DISCOVER,))}
    if architecture is not None:
        vendor = vendor or vendor_class(architecture).decode()
        said[93] = architecture.to_bytes(2, "big")
    if vendor:
        said[60] = vendor.encode()
    if options["user-class"]:
        said[77] = options["user-class"].encode()
    if uuid:
        said[97] = b"\0" + uuid
    packet = Packet(
        op=BOOTREQUEST, htype=ETHERNET, hops=0, xid=1, secs=0, flags=0, ciaddr=0, yiaddr=0, siaddr=0, giaddr=giaddr,
        chaddr=chaddr, sname=b"", file=b"", options=said, size=MINIMUM,
    )  # fmt: skip
    return understand(packet, interface=settings.networks[0].interface)


def _value(options: ExplainOptions, name: str, parse: Callable[[str], Any]) -> Any:
    """
    What an option says; None where it is not given.

    @raise usage.UsageError: C{--mac foo: not a hardware address...}.
    """
    try:
        return parse(options[name]) if options[name] else None
    except ValueError as error:
        raise usage.UsageError(f"--{name} {printable(options[name])}: {error}") from None


def _uuid(text: str) -> bytes:
    """As firmware sends it."""
    try:
        return UUID(text).bytes_le
    except ValueError:
        raise ValueError("not a UUID; write e.g. 77AABBCC-1122-3344-5566-778899AABBCC") from None


def _facts(config: Config, request: Request) -> Facts:
    access = Access(config)
    if access.assumed:
        print(access.assumed)
    verdict, said = access.ask(request)
    for line in said:
        print(line)
    return Facts(now=time.time(), verdict=verdict, next_boot=OrderBook(place_of(config)).of(request.chaddr))


def _file(config: Config, request: Request, decision: Decision, network: Network | None) -> Iterator[str]:
    """What the boot file's name leads to here; web servers are not asked."""
    told = next((reply for reply in decision.replies if reply.boot_file), None)
    if told is None or network is None:
        return
    http = request.firmware is Firmware.HTTP_BOOT
    if not is_url(told.boot_file):
        if told.siaddr not in (0, network.server, int(config.tftp_address)):
            yield f"file: {told.boot_file} comes from {IPv4Address(told.siaddr)}, not from here"
            return
        if not config.tftp:
            yield f"file: {told.boot_file} comes by TFTP, which is off here"
            return
    settings = next((host for host in config.hosts if host.mac == request.chaddr), None)
    machine = Machine(
        mac_text(request.chaddr),
        uuid=UUID(bytes_le=request.uuid) if request.uuid else None,
        architecture=request.architecture,
        address=IPv4Address(told.yiaddr) if told.yiaddr else None,
        hostname=settings.hostname if settings is not None else "",
        variables=settings.variables if settings is not None else {},
    )
    origin = Origin("", 0, "bootfile", "")
    one = Named(told.boot_file, origin, machine, http=http, ipxe=request.firmware is Firmware.IPXE)
    library = Library(config, [network.http] if network.http else [])
    steps = [step for step in library.explain(one) if step.rule != "name"]
    if not steps:
        yield f"file: {told.boot_file} comes from that web server, which is not asked here"
    for step in steps:
        rule = "file" if step.rule in ("answer", "fetch") else step.rule
        yield f"{rule}: {step.outcome}{f'   ({step.setting})' if step.setting else ''}"
    try:
        found = library.find(one)
    except ContentError:
        return  # the last step says so
    if found is not None and found.unfit:
        yield f"file: this machine cannot start it: {found.unfit}"
