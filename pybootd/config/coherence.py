"""
What must fit together in a configuration whose every line is right by itself.

Each check looks at a finished L{Config} and yields L{Problem}s: those that stop the daemon, and those that only deserve
a warning.  Nothing here asks the host; L{pybootd.check} does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise
from os.path import normpath
from pathlib import PurePath

from pybootd.config.origin import Origin, Problem
from pybootd.config.sections import BootpdConfig, Config, SubnetConfig, pool
from pybootd.config.words import MAC_BITS, UUID_BITS
from pybootd.content.patterns import Value
from pybootd.content.urls import is_url, scheme
from pybootd.content.variables import NAMES
from pybootd.dhcp.architectures import BY_NUMBER, name_of
from pybootd.dhcp.menu import LOCAL, ROOM, size
from pybootd.dhcp.pxe import swapped

ACCESS = ("mac", "uuid", "http")
SCHEMES = ("http", "https")
STORES = ("sqlite", "memory", "postgresql")
SNAME = 63
"""Letters that the sname field of a DHCP packet holds (RFC 2131 2)."""

SHORTEST_TOKEN = 8
"""Characters of a token of the status site that is taken without a word."""


def nearest(name: str, known: Iterable[str]) -> str:
    """What an unknown name may have meant: the nearest known one, or all of them."""
    known = sorted(known)
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"there is {', '.join(known)}"


def problems(config: Config, plugins: Collection[str] = ()) -> Iterator[Problem]:
    """Everything that makes the configuration unusable."""
    yield from _access(config, plugins)
    yield from _webhook(config)
    yield from _sources(config, plugins)
    yield from _store(config, plugins)
    yield from _home_pool(config)
    yield from _subnets(config)
    yield from _pools_apart(config)
    yield from _addresses(config)
    yield from _allowed_twice(config)
    yield from _names(config)
    yield from _files(config)
    yield from _ports(config)
    yield from _variables(config)
    yield from _menus(config)


def warnings(config: Config) -> Iterator[Problem]:
    """Everything that may be meant so, but seldom is."""
    yield from _unused(config)
    yield from _boot_files(config)
    yield from _roots(config)
    yield from _exposed(config)
    yield from _guessable(config)


# who may boot


def _access(config: Config, plugins: Collection[str]) -> Iterator[Problem]:
    origin = config.origin("bootpd", "access")
    for number, name in enumerate(config.bootpd.access):
        if name in config.bootpd.access[:number]:
            yield Problem(origin, "named twice; remove one", name)
        elif name not in ACCESS and name not in plugins:
            yield Problem(origin, f"no such access backend; {nearest(name, (*ACCESS, *plugins))}", name)
        elif (name, "") not in config.origins:
            yield Problem(origin, f"there is no section [{name}]; add it, or remove the word", name)
    if "http" in config.bootpd.access and ("http", "") in config.origins and not _said(config, "http", "location"):
        yield Problem(config.origin("http"), "location is missing; write e.g. location = http://boot.example.org")


def _webhook(config: Config) -> Iterator[Problem]:
    if ("webhook", "") in config.origins and not _said(config, "webhook", "url"):
        yield Problem(config.origin("webhook"), "url is missing; write e.g. url = http://boot.example.org/hook")


def _sources(config: Config, plugins: Collection[str]) -> Iterator[Problem]:
    """Roots and targets that are URLs: somebody must be able to fetch them."""
    places = [(config.origin(section, "root"), getattr(config, section).root) for section in ("tftpd", "httpd")]
    places += [(rule.origin, rule.value) for rule in config.filters]
    for origin, place in places:
        name = scheme(place)
        if not is_url(place) or name in SCHEMES:
            continue
        if name not in plugins:
            yield Problem(origin, f"nobody here fetches {name} URLs; {nearest(name, (*SCHEMES, *plugins))}", place)
        elif (name, "") not in config.origins:
            yield Problem(origin, f"there is no section [{name}]; add it, so that the plugin is used", place)


def _allowed_twice(config: Config) -> Iterator[Problem]:
    whole = {entry.who.value: entry for entry in config.uuid if entry.who.bits == UUID_BITS}
    for one in whole.values():
        other = whole.get(swapped(one.who.value), one)
        if other.allowed != one.allowed and other.origin.line < one.origin.line:
            what = f"line {other.origin.line} says otherwise of this UUID in its other byte order; remove one"
            yield Problem(one.origin, what)
    listed = {entry.who.value: entry for entry in config.mac if entry.who.bits == MAC_BITS}
    for host in config.hosts:
        entry = listed.get(host.mac)
        if entry is not None and host.allow is not None and host.allow != entry.allowed:
            yield Problem(host.origins["allow"], f"[mac] says otherwise at line {entry.origin.line}; remove one")


# addresses


def _home_pool(config: Config) -> Iterator[Problem]:
    bootpd = config.bootpd
    if not _said(config, "bootpd", "pool_start"):
        if config.dhcp and bootpd.mode == "server":
            at = config.origins.get(("bootpd", "")) or Origin(config.file, 1, "bootpd")
            yield Problem(
                at, "pool_start is missing, the first address to give away; write e.g. pool_start = 192.168.1.100"
            )
        if bootpd.pool_end:
            yield Problem(config.origin("bootpd", "pool_end"), "needs pool_start beside it", str(bootpd.pool_end))
        return
    if bootpd.pool_start is None:
        return
    if bootpd.pool_end is not None:
        count = int(bootpd.pool_end) - int(bootpd.pool_start) + 1
        if count < 1:
            yield Problem(config.origin("bootpd", "pool_end"), "lies before pool_start", str(bootpd.pool_end))
        elif count != bootpd.pool_count:
            what = f"pool_count says otherwise at line {config.origin('bootpd', 'pool_count').line}; remove one"
            yield Problem(config.origin("bootpd", "pool_end"), what, str(bootpd.pool_end))
    if bootpd.netmask is not None:
        network = IPv4Network((int(bootpd.pool_start), str(bootpd.netmask)), strict=False)
        yield from _pool_within(network, bootpd, config.origin("bootpd", "pool_start"))


def _subnets(config: Config) -> Iterator[Problem]:
    ordered = sorted(config.subnets, key=lambda subnet: (subnet.network.network_address, subnet.network.prefixlen))
    for before, subnet in pairwise(ordered):
        if before.network.overlaps(subnet.network):
            later, earlier = sorted((before, subnet), key=lambda one: one.origin.line, reverse=True)
            yield Problem(later.origin, f"overlaps [subnet {earlier.network}] of line {earlier.origin.line}")
    for subnet in config.subnets:
        if subnet.pool_start is not None:
            yield from _pool_within(subnet.network, subnet, subnet.origins["pool_start"])
        if subnet.gateway and int(subnet.gateway) and subnet.gateway not in subnet.network:
            what = f"is outside {subnet.network}, where its machines cannot reach it"
            yield Problem(subnet.origins["gateway"], what, str(subnet.gateway))


def _pool_within(network: IPv4Network, section: BootpdConfig | SubnetConfig, origin: Origin) -> Iterator[Problem]:
    span = pool(section)
    if span is None:
        return
    usable = _usable(network)
    if span[0] not in usable or span[1] not in usable:
        first, last = IPv4Address(usable[0]), IPv4Address(usable[-1])
        what = f"the pool of {section.pool_count} does not fit into {network}, which has {first} to {last}"
        yield Problem(origin, what, str(section.pool_start))


def _usable(network: IPv4Network) -> range:
    """The addresses of a network that hosts can have."""
    first, last = int(network.network_address), int(network.broadcast_address)
    return range(first + 1, last) if network.prefixlen < 31 else range(first, last + 1)


def _pools_apart(config: Config) -> Iterator[Problem]:
    sections: list[tuple[BootpdConfig | SubnetConfig, Origin]] = [
        (config.bootpd, config.origin("bootpd", "pool_start"))
    ]
    sections += [(subnet, subnet.origins.get("pool_start", subnet.origin)) for subnet in config.subnets]
    spans = [(span, origin) for section, origin in sections if (span := pool(section)) is not None]
    spans.sort(key=lambda one: one[0])
    for ((_, last), before), ((first, _), origin) in pairwise(spans):
        if first <= last:
            earlier, later = sorted((before, origin), key=lambda one: one.line)
            yield Problem(later, f"the pool overlaps that of line {earlier.line}")


def _addresses(config: Config) -> Iterator[Problem]:
    """Every machine has one fixed address, and every fixed address one machine."""
    fixed = [(entry.origin, entry.mac, entry.address) for entry in config.static_dhcp]
    fixed += [(host.origins["address"], host.mac, host.address) for host in config.hosts if host.address]
    by_mac: dict[bytes, Origin] = {}
    by_address: dict[IPv4Address, Origin] = {}
    for origin, mac, address in fixed:
        if by_mac.setdefault(mac, origin) is not origin:
            what = f"the machine has an address at line {by_mac[mac].line} already; remove one"
            yield Problem(origin, what, str(address))
        elif by_address.setdefault(address, origin) is not origin:
            yield Problem(origin, f"another machine has this address at line {by_address[address].line}", str(address))
        for subnet in config.subnets:
            if address in subnet.network and int(address) not in _usable(subnet.network):
                yield Problem(origin, f"is no host's address in [subnet {subnet.network}]", str(address))


# names, files and ports


def _names(config: Config) -> Iterator[Problem]:
    name = ".".join(filter(None, (config.bootpd.servername, config.bootpd.domain)))
    if config.bootpd.servername and len(name) > SNAME:
        what = f"longer than {SNAME} letters together with the domain, which no answer can hold"
        yield Problem(config.origin("bootpd", "servername"), what, config.bootpd.servername)


def _store(config: Config, plugins: Collection[str]) -> Iterator[Problem]:
    kind = config.leases.store.partition(":")[0]
    if kind not in STORES and kind not in plugins:
        what = f"no such lease store; {nearest(kind, (*STORES, *plugins))}"
        yield Problem(config.origin("leases", "store"), what, kind)


def _files(config: Config) -> Iterator[Problem]:
    for name, other in (("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")):
        if _said(config, "httpd", name) and not _said(config, "httpd", other):
            yield Problem(config.origin("httpd", name), f"needs {other} beside it")
    if config.logger.type == "file" and not _said(config, "logger", "file"):
        yield Problem(config.origin("logger", "type"), "needs file = PATH beside it", "file")
    status = config.status
    if status.enable and not status.address.is_loopback and not status.token:
        yield Problem(
            config.origin("status", "address"), "others can reach it: write a token beside it", str(status.address)
        )


def _ports(config: Config) -> Iterator[Problem]:
    """Two services at one port: the later one could not start."""
    tcp = [("httpd", config.http_server, config.http_address), ("status", config.status.enable, config.status.address)]
    udp = [("bootpd", config.dhcp, config.bootpd.address), ("tftpd", config.tftp, config.tftp_address)]
    for pair in (udp, tcp):
        (one, one_runs, its), (other, other_runs, others) = pair
        port = getattr(config, other).port
        meet = its == others or its.is_unspecified or others.is_unspecified
        if one_runs and other_runs and meet and getattr(config, one).port == port:
            yield Problem(config.origin(other, "port"), f"is the port of [{one}] too", str(port))


def _variables(config: Config) -> Iterator[Problem]:
    own = {name for host in config.hosts for name in host.variables}
    for rule in config.filters:
        for name in Value.parse(rule.value).names:
            if name not in NAMES and name not in own:
                what = (
                    f"{{{name}}} is no variable, and no [host] section has var.{name}; {nearest(name, (*NAMES, *own))}"
                )
                yield Problem(rule.origin, what, rule.value)


def _menus(config: Config) -> Iterator[Problem]:
    for menu in config.menus:
        if not any(item.file != LOCAL for item in menu.items):
            yield Problem(menu.origin, "has no line with a file; write e.g. Install Debian = debian/pxelinux.0")
        length = size(menu.prompt, [(item.text, item.file != LOCAL) for item in menu.items])
        if length > ROOM:
            what = f"{length - ROOM} letters too long: firmware has room for {ROOM}; shorten its texts"
            yield Problem(menu.origin, what)
        for item in menu.items:
            if is_url(item.file):
                yield Problem(item.origin, "PXE firmware loads files by TFTP and cannot use a URL", item.file)


# warnings


def _unused(config: Config) -> Iterator[Problem]:
    bootpd = config.bootpd
    for name in ACCESS:
        with_static = name == "mac" and "uuid" in bootpd.access and config.static_dhcp
        if (name, "") in config.origins and name not in bootpd.access and not with_static:
            yield Problem(config.origin(name), f"decides nothing, for [bootpd] access does not name {name}")
    if not bootpd.set_gateway and bootpd.gateway:
        yield Problem(config.origin("bootpd", "gateway"), "is not sent, for set_gateway = no", str(bootpd.gateway))
    if config.logger.file is not None and config.logger.type != "file":
        yield Problem(config.origin("logger", "file"), f"is not used, for type = {config.logger.type}")
    if _said(config, "cache", "size") and config.cache.directory is None:
        yield Problem(config.origin("cache", "size"), "is not used, for there is no directory")
    if bootpd.mode == "proxy":
        for option in ("pool_count", "pool_end", "lease_time", "reclaim", "allow_simple_dhcp"):
            if _said(config, "bootpd", option):
                yield Problem(config.origin("bootpd", option), "is not used in proxy mode, which gives no addresses")
        if config.static_dhcp:
            yield Problem(config.origin("static_dhcp"), "is not used in proxy mode, which gives no addresses")


def _boot_files(config: Config) -> Iterator[Problem]:
    if config.dhcp and not config.bootfile and not config.menus:
        at = config.origins.get(("bootfile", "")) or Origin(config.file, 1, "bootfile")
        yield Problem(at, "names no boot file: no machine could boot; write e.g. default = pxelinux.0")
    for entry in config.bootfile:
        number = 0 if entry.architecture is None else entry.architecture
        known = BY_NUMBER.get(number)
        takes_url = entry.ipxe or known is None or known.http
        if is_url(entry.file) and not takes_url:
            what = f"{name_of(number)} firmware loads files by TFTP and cannot use a URL; only iPXE and ...-http can"
            yield Problem(entry.origin, what, entry.file)
        elif known is not None and known.http and not entry.ipxe and not is_url(entry.file) and not config.http_server:
            what = f"{known.name} firmware needs HTTP: switch it on with [httpd] enable = yes, or write a URL"
            yield Problem(entry.origin, what, entry.file)


def _roots(config: Config) -> Iterator[Problem]:
    for section, runs, root in (
        ("tftpd", config.tftp, config.tftpd.root),
        ("httpd", config.http_server, config.http_root),
    ):
        if runs and not root:
            at = config.origins.get((section, "")) or Origin(config.file, 1, section)
            yield Problem(at, "root is missing: nothing is served but what [filters] name; write e.g. root = ./boot")


def _exposed(config: Config) -> Iterator[Problem]:
    """The lease file among the files that are served."""
    kind, _, path = config.leases.store.partition(":")
    if kind != "sqlite":
        return
    for runs, root in ((config.tftp, config.tftpd.root), (config.http_server, config.http_root)):
        if runs and root and not is_url(root) and PurePath(normpath(path)).is_relative_to(normpath(root)):
            what = f"lies below the root {root}, where every machine can read it; write another path"
            yield Problem(config.origin("leases", "store"), what)
            return


def _guessable(config: Config) -> Iterator[Problem]:
    """A token that is soon guessed; it is not shown."""
    if config.status.enable and 0 < len(config.status.token) < SHORTEST_TOKEN:
        what = f"has less than {SHORTEST_TOKEN} characters and could be guessed; write what openssl rand -hex 16 says"
        yield Problem(config.origin("status", "token"), what)


def _said(config: Config, section: str, option: str) -> bool:
    return (section, option) in config.origins
