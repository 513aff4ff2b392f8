"""The interfaces that are served: up, with a carrier, able to broadcast, with a usual MTU, on the machines' network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address
from pathlib import Path

from attrs import frozen

from pybootd.config import Config
from pybootd.dhcp.settings import HostInterface, Network
from pybootd.doctor.finding import Finding, fine, hint, wrong
from pybootd.errors import EnvironmentProblem
from pybootd.here import settings_here
from pybootd.net.link import ETHERNET_MTU

SYS = Path("/sys/class/net")
UP, BROADCAST = 0x1, 0x2
"""Bits of an interface's flags (if.h)."""
HEADERS = 32
"""Bytes of the IP, UDP and TFTP headers in front of a block."""
PLAIN_BLOCK = ETHERNET_MTU - HEADERS


@frozen
class Link:
    """What the kernel says of one interface."""

    name: str
    flags: int = UP | BROADCAST
    carrier: bool = True
    mtu: int = ETHERNET_MTU
    paired: bool = False
    """Its other end is an interface elsewhere: a virtual cable."""

    @property
    def works(self) -> bool:
        """Whether a broadcast leaves and arrives by it."""
        return self.carrier and self.flags & (UP | BROADCAST) == UP | BROADCAST


def look(name: str, sys: Path = SYS) -> Link | None:
    """Look an interface up; None where there is none."""
    place = sys / name

    def number(file: str, base: int = 10) -> int:
        try:
            return int((place / file).read_text().strip(), base)
        except (OSError, ValueError):  # the carrier of an interface that is down cannot be read
            return 0

    if not place.exists():
        return None
    paired = number("iflink") not in (0, number("ifindex"))
    return Link(name, number("flags", 16), number("carrier") == 1, number("mtu") or ETHERNET_MTU, paired)


def served(config: Config, interfaces: Sequence[HostInterface]) -> list[tuple[HostInterface, Network]]:
    """
    The interfaces that are served directly, with their networks.

    @raise EnvironmentProblem: there is none that would do.
    """
    by_index = {one.index: one for one in interfaces}
    networks = settings_here(config, interfaces).networks
    return [(by_index[network.interface], network) for network in networks if network.interface in by_index]


def links(
    config: Config, interfaces: Sequence[HostInterface], look: Callable[[str], Link | None] = look
) -> Iterator[Finding]:
    """Look at every interface that is served, or ought to be."""
    try:
        here = served(config, interfaces)
    except EnvironmentProblem as error:
        yield wrong(str(error), _remedy(config, interfaces, look))
        return
    for interface, network in here:
        link = look(interface.name)
        if link is not None:
            yield from _link(config, link, network)


def _remedy(config: Config, interfaces: Sequence[HostInterface], look: Callable[[str], Link | None]) -> str:
    """What makes the interface serve the network of the pool."""
    start = config.bootpd.pool_start
    bare = [name for name in config.bootpd.interface if not any(one.name == name for one in interfaces)]
    address = f"{IPv4Address((int(start) & ~0xFF) + 1)}/24" if start is not None else "ADDRESS/24"
    there = [look(name) for name in bare]
    if bare and there[0] is None:
        return "mend [bootpd] interface; the names that there are: ip -brief link"
    name = bare[0] if bare else "INTERFACE"
    up = f"ip link set {name} up; " if bare and there[0] is not None and not there[0].flags & UP else ""
    choice = "" if bare else ", or write a pool_start of a network that there is"
    return f"{up}ip address add {address} dev {name}{choice}"


def _link(config: Config, link: Link, network: Network) -> Iterator[Finding]:
    name = link.name
    if not link.flags & UP:
        yield wrong(f"{name} is down", f"ip link set {name} up")
    elif not link.carrier:
        yield wrong(
            f"{name} has no carrier: nothing is at the other end", "plug the cable in; a bridge needs a port that is up"
        )
    elif not link.flags & BROADCAST:
        remedy = "serve an Ethernet interface; where relays forward to this one, write a [subnet] for their networks"
        yield wrong(
            f"{name} knows no broadcast (a tunnel?), and machines without an address can only broadcast", remedy
        )
    else:
        yield fine(f"{name} is up, {network} as {IPv4Address(network.server)}, MTU {link.mtu}")
    if config.tftp:
        yield from _blocks(config, link)


def _blocks(config: Config, link: Link) -> Iterator[Finding]:
    """The MTU against TFTP's blocks."""
    largest, carried = config.tftpd.max_blocksize, link.mtu - HEADERS
    if link.mtu > ETHERNET_MTU and largest > PLAIN_BLOCK:
        text = (
            f"{link.name} has an MTU of {link.mtu}: whoever asks for blocks of up to {min(carried, largest)} bytes gets"
            " them, and stops where a switch or an adapter on the way carries less"
        )
        yield hint(text, f"[tftpd] max_blocksize = {PLAIN_BLOCK}, unless all of the network carries that much")
    elif link.mtu < ETHERNET_MTU:
        text = f"{link.name} has an MTU of {link.mtu}, not the usual {ETHERNET_MTU}; TFTP's blocks are cut to {carried}"
        yield hint(text, f"ip link set {link.name} mtu {ETHERNET_MTU}, where the network carries it")
    elif carried < largest and config.origin("tftpd", "max_blocksize").line:
        origin = config.origin("tftpd", "max_blocksize")
        yield hint(f"{origin} = {largest} is more than {link.name} carries; {carried} is the most that is used")


# where this runs


def surroundings(links: Sequence[Link], container: str, own_namespace: bool, kernel: str) -> Iterator[Finding]:
    """
    A container, a namespace, a virtual Windows network: machines' broadcasts may not arrive here.

    @param links: those that are served.
    @param container: what runs this process, or nothing.
    @param own_namespace: its network is not that of the first process.
    @param kernel: C{/proc/version}.
    """
    if "microsoft" in kernel.lower():
        yield hint(
            "this is WSL, whose network is translated: machines' broadcasts do not arrive", "networkingMode=bridged"
        )
    paired = ", ".join(link.name for link in links if link.paired)
    if container and paired:
        yield hint(
            f"this is a container ({container}), and {paired} a virtual cable to a bridge of the host: machines'"
            " broadcasts do not arrive where that bridge has no port on their network",
            "run it with --network=host, or on a macvlan network",
        )
    elif container and own_namespace:
        yield hint(
            f"this is a container ({container}) with a network of its own", "see ip address: that is all it hears"
        )
    elif own_namespace:
        yield hint("this is a network namespace of its own: interfaces, ports and firewall are those in here")


def container(root: Path = Path("/")) -> str:
    """What this process is contained in: C{docker}, C{podman}..., or nothing."""
    for file, name in ((".dockerenv", "docker"), ("run/.containerenv", "podman")):
        if (root / file).exists():
            return name
    try:
        environment = (root / "proc/1/environ").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return ""
    return next((one.partition("=")[2] for one in environment if one.startswith("container=")), "")
