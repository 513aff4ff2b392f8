"""
What the policy goes by: the configuration and this host's networks, compiled once into what each decision needs.

Option values that are the same for everybody are encoded here already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Protocol

from attrs import field, frozen

from pybootd.config import BootFile, Config, MenuConfig, SubnetConfig, pool
from pybootd.config.masks import Masks
from pybootd.config.origin import Origin, Problem
from pybootd.dhcp.delivery import LIMITED_BROADCAST
from pybootd.dhcp.menu import LOCAL, Item, Menu
from pybootd.errors import EnvironmentProblem


class HostInterface(Protocol):
    """What is asked of an interface of this host (L{pybootd.net.interfaces.Interface})."""

    @property
    def name(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def addresses(self) -> tuple[IPv4Interface, ...]: ...


@frozen(eq=False)
class Network:
    """One network that is served."""

    first: int
    """The network's own address, as an integer."""
    last: int
    """Its broadcast address."""
    server: int
    """This server's address as that network knows it: option 54."""
    next_server: int
    """Where boot files come from: siaddr, option 66."""
    interface: int
    """The index of the interface behind which it is; 0 where only relays reach it."""
    lease_time: int
    options: Mapping[int, bytes]
    """1, 3, 6, 15, 28: encoded, without those that are not set."""
    relay_routes: bool = False
    """The relay is the router that machines are told (option 3), for none is configured."""
    http: str = ""
    """What makes a URL of a file's name: this server's own HTTP, C{http://10.0.0.1/}; empty where it does not run."""
    interface_name: str = ""
    pool_first: int = 0
    pool_count: int = 0
    origin: Origin | None = None

    def __contains__(self, address: int) -> bool:
        return self.first <= address <= self.last

    def __str__(self) -> str:
        return f"{IPv4Address(self.first)}/{32 - (self.first ^ self.last).bit_length()}"

    def pools(self, address: int) -> bool:
        """Whether the address is one of those that are given to whoever asks."""
        return self.pool_first <= address < self.pool_first + self.pool_count


@frozen
class Host:
    """What the configuration says of one machine."""

    address: int = 0
    address_origin: Origin | None = None
    hostname: str = ""
    boot_file: str = ""
    boot_file_origin: Origin | None = None
    allow: bool | None = None
    allow_origin: Origin | None = None
    variables: Mapping[str, str] = field(factory=dict)


NOTHING = Host()


@frozen
class Settings:
    """Everything that a decision goes by, but for the facts of the moment."""

    networks: tuple[Network, ...]
    hosts: Mapping[bytes, Host] = field(factory=dict)
    reserved: Mapping[int, bytes] = field(factory=dict)
    """Addresses that are configured for one machine, and whose they are; nobody's are those of servers and routers."""
    files: Mapping[tuple[bool, int | None], BootFile] = field(factory=dict)
    """By (is iPXE, architecture); None is C{default}, or iPXE on any architecture."""
    menus: Mapping[int | None, Menu] = field(factory=dict)
    """By architecture; None is C{default}."""
    proxy: bool = False
    allow_simple_dhcp: bool = False
    authoritative: bool = True
    reclaim: bool = False
    """Addresses whose lease has ended go to others where none else is left."""
    server_name: bytes = b""
    """sname: C{servername.domain}."""
    guarded: bool = False
    """Not everybody is served: whoever cannot be told by 6 bytes of hardware address is refused."""
    network_broadcast: bool = False
    """C{broadcast = network}."""
    buggy: Masks = Masks(())
    """C{[buggy_clients]}."""
    port: int = 67
    origins: Mapping[tuple[str, str], Origin] = field(factory=dict)
    servers: frozenset[int] = field(init=False)
    """Option 54 of every network: an OFFER that names one of these was ours."""
    _behind: Mapping[int, Sequence[Network]] = field(init=False)

    _by_the_book: bool = field(init=False)
    """Nobody gets a broadcast that did not ask for one."""

    @_by_the_book.default
    def _nobody_special(self) -> bool:
        return not (self.network_broadcast or self.buggy)

    @servers.default
    def _own(self) -> frozenset[int]:
        return frozenset(network.server for network in self.networks)

    @_behind.default
    def _by_interface(self) -> Mapping[int, Sequence[Network]]:
        """Networks by the interface that leads there; 0: those that any does."""
        near = [network for network in self.networks if network.interface]
        indexes = {network.interface for network in near}
        return {0: near} | {index: [one for one in near if one.interface == index] for index in indexes}

    def origin(self, section: str, option: str) -> Origin:
        """Where an option was said, or that it is a default."""
        return self.origins.get((section, option)) or Origin("", 0, section, option)

    def host(self, chaddr: bytes) -> Host:
        """What the configuration says of this machine."""
        return self.hosts.get(chaddr, NOTHING)

    def network_with(self, address: int) -> Network | None:
        """The network that an address belongs to."""
        return next((network for network in self.networks if address in network), None)

    def networks_at(self, interface: int) -> Sequence[Network]:
        """
        The networks behind an interface.

        @param interface: its index; 0 where the system does not tell: all that are not behind a relay.
        """
        return self._behind.get(interface, ())

    def broadcast_for(self, network: Network | None, chaddr: bytes) -> int:
        """The address at which this client gets everything until it has one of its own; 0: as RFC 2131 4.1 has it."""
        if self._by_the_book:
            return 0
        listed = self.buggy.find(chaddr)
        if listed is not None and listed.allowed:
            return LIMITED_BROADCAST
        return network.last if self.network_broadcast and network is not None else 0


def settings_from(
    config: Config,
    interfaces: Sequence[HostInterface],
    name_servers: Sequence[IPv4Address] = (),
    way_out: str = "",
) -> Settings:
    """
    Compile the configuration for this host.

    @param name_servers: the host's own, for C{dns = auto}.
    @param way_out: the interface of the default route, which a proxy serves where none is named.
    @raise EnvironmentProblem: C{pool_start} is on no network of this host, or an interface does not exist.
    """
    bootpd = config.bootpd
    home = _home(config, interfaces, way_out)
    names = name_servers if bootpd.dns is None else bootpd.dns
    networks = [_network(config, *one, names) for one in home]
    networks += [_subnet(config, subnet, home, interfaces, name_servers) for subnet in config.subnets]
    hosts = _hosts(config)
    name = ".".join(filter(None, (bootpd.servername, bootpd.domain if bootpd.servername else "")))
    return Settings(
        networks=tuple(networks),
        hosts=hosts,
        reserved=_reserved(networks, hosts),
        files={(entry.ipxe, entry.architecture): entry for entry in config.bootfile},
        menus={menu.architecture: _menu(menu) for menu in config.menus},
        proxy=bootpd.mode == "proxy",
        allow_simple_dhcp=bootpd.allow_simple_dhcp,
        authoritative=bootpd.authoritative,
        reclaim=bootpd.reclaim == "expired",
        server_name=name.encode("ascii")[:63],
        guarded=bool(bootpd.access) or any(host.allow is False for host in hosts.values()),
        network_broadcast=bootpd.broadcast == "network",
        buggy=Masks(config.buggy_clients),
        port=bootpd.port,
        origins=config.origins,
    )


def _home(
    config: Config, interfaces: Sequence[HostInterface], way_out: str
) -> list[tuple[HostInterface, IPv4Interface]]:
    """The interfaces that are served directly, each with the address that counts there."""
    bootpd = config.bootpd
    chosen = [one for one in interfaces if not bootpd.interface or one.name in bootpd.interface]
    for name in bootpd.interface:
        if not any(one.name == name for one in interfaces):
            origin = config.origin("bootpd", "interface")
            raise EnvironmentProblem(
                f"{origin} = {name}: no interface with an IPv4 address; {_there_are(interfaces, 'interface')}"
            )
    if bootpd.pool_start is not None:
        pairs = [(one, own) for one in chosen for own in one.addresses if bootpd.pool_start in own.network]
        if pairs:
            return [max(pairs, key=lambda pair: (pair[1].ip == bootpd.address, pair[1].network.prefixlen))]
        origin = config.origin("bootpd", "pool_start")
        raise EnvironmentProblem(
            f"{origin} = {bootpd.pool_start}: on no network of this host; {_there_are(chosen or interfaces)}"
        )
    real = [one for one in chosen if not one.addresses[0].ip.is_loopback] or list(chosen)
    if not real:
        raise EnvironmentProblem("no interface of this host has an IPv4 address; give one an address first")
    main = [one for one in real if one.name == way_out and not bootpd.interface]
    return [(one, one.addresses[0]) for one in main or real]


def unserved(config: Config, networks: Iterable[Network], interfaces: Iterable[HostInterface]) -> Iterator[Problem]:
    """The interfaces that C{[bootpd] interface} names, and behind which nobody is served all the same."""
    served = {network.interface: network for network in networks}
    for one in interfaces:
        if one.name not in config.bootpd.interface or one.index in served:
            continue
        own = one.addresses[0]
        same = next((network for network in served.values() if network.interface and int(own.ip) in network), None)
        remedy = f"write [subnet {own.network}], with its pool_start"
        if same is not None:
            remedy = (
                f"its network, {own.network}, is served on {same.interface_name}: make them one bridge, or name one"
            )
        yield Problem(config.origin("bootpd", "interface"), f"nobody is served there; {remedy}", one.name)


def _there_are(interfaces: Iterable[HostInterface], option: str = "pool_start") -> str:
    """The networks that would do, and an example for the first: what to write for this option."""
    known = [(one.name, own) for one in interfaces for own in one.addresses if not own.ip.is_loopback]
    if not known:
        return "this host has no network; give an interface an address first"
    words = ", ".join(f"{own.network} on {name}" for name, own in known)
    network = known[0][1].network
    if option == "interface":
        return f"there is {words}; write e.g. interface = {known[0][0]}"
    example = network.network_address + min(100, max(network.num_addresses - 12, 1))
    return f"there is {words}; write e.g. pool_start = {example}"


def _network(
    config: Config, interface: HostInterface, own: IPv4Interface, name_servers: Sequence[IPv4Address]
) -> Network:
    """The network of C{[bootpd]}."""
    bootpd = config.bootpd
    network = IPv4Network((int(own.ip), str(bootpd.netmask)), strict=False) if bootpd.netmask else own.network
    span = pool(bootpd) if bootpd.mode == "server" else None
    if span is not None:
        _within(network, span, config.origin("bootpd", "pool_start"))
    router = _router(bootpd.gateway, own.ip) if bootpd.set_gateway else None
    return Network(
        first=int(network.network_address),
        last=int(network.broadcast_address),
        server=int(own.ip),
        next_server=int(bootpd.next_server or _listening(config.tftp_address, own.ip)),
        interface=interface.index,
        lease_time=bootpd.lease_time,
        options=_options(network, router, name_servers, bootpd.domain),
        http=_http(config, own.ip),
        interface_name=interface.name,
        pool_first=span[0] if span else 0,
        pool_count=span[1] - span[0] + 1 if span else 0,
        origin=config.origin("bootpd", "pool_start"),
    )


def _within(network: IPv4Network, span: tuple[int, int], origin: Origin) -> None:
    """
    Of C{[bootpd]} the configuration alone does not say how large the network is.

    @raise EnvironmentProblem: the pool leaves it.
    """
    first, last = int(network.network_address), int(network.broadcast_address)
    if not first < span[0] <= span[1] < last:
        most = last - span[0]
        hint = f"; pool_count = {most} does" if span[0] > first and most > 0 else ""
        what = f"the pool, up to {IPv4Address(span[1])}, does not fit into {network}{hint}"
        raise EnvironmentProblem(f"{origin} = {IPv4Address(span[0])}: {what}")


def _subnet(
    config: Config,
    subnet: SubnetConfig,
    home: Sequence[tuple[HostInterface, IPv4Interface]],
    interfaces: Sequence[HostInterface],
    name_servers: Sequence[IPv4Address],
) -> Network:
    """A further network: reached by a relay, or on an interface of its own."""
    local = [
        (one, own)
        for one in interfaces
        for own in one.addresses
        if own.ip in subnet.network and (not subnet.interface or one.name == subnet.interface)
    ]
    if subnet.interface and not local:
        origin = subnet.origins["interface"]
        raise EnvironmentProblem(f"{origin} = {subnet.interface}: has no address in {subnet.network}")
    server = local[0][1].ip if local else home[0][1].ip
    bootpd, span = config.bootpd, pool(subnet)
    names = subnet.dns if "dns" in subnet.origins else bootpd.dns
    router = _router(subnet.gateway, server if local else None)
    return Network(
        first=int(subnet.network.network_address),
        last=int(subnet.network.broadcast_address),
        server=int(server),
        next_server=int(subnet.next_server or bootpd.next_server or _listening(config.tftp_address, server)),
        interface=local[0][0].index if local else 0,
        lease_time=subnet.lease_time or bootpd.lease_time,
        options=_options(
            subnet.network, router, name_servers if names is None else names, subnet.domain or bootpd.domain
        ),
        relay_routes=subnet.gateway is None and not local,
        http=_http(config, server),
        interface_name=local[0][0].name if local else "",
        pool_first=span[0] if span and bootpd.mode == "server" else 0,
        pool_count=span[1] - span[0] + 1 if span and bootpd.mode == "server" else 0,
        origin=subnet.origin,
    )


def _listening(address: IPv4Address, own: IPv4Address) -> int:
    """Where a service of ours is reached that listens at C{address}."""
    return int(own if address.is_unspecified else address)


def _http(config: Config, own: IPv4Address) -> str:
    """The beginning of URLs of this server's own HTTP; empty where it does not run."""
    if not config.http_server:
        return ""
    scheme, usual = ("https", 443) if config.httpd.tls_certificate else ("http", 80)
    host = IPv4Address(_listening(config.http_address, own))
    return f"{scheme}://{host}/" if config.httpd.port == usual else f"{scheme}://{host}:{config.httpd.port}/"


def _router(configured: IPv4Address | None, own: IPv4Address | None) -> IPv4Address | None:
    """The router to hand out; 0.0.0.0 stands for C{none}."""
    router = own if configured is None else configured
    return None if router is not None and int(router) == 0 else router


def _options(
    network: IPv4Network, router: IPv4Address | None, name_servers: Sequence[IPv4Address], domain: str
) -> dict[int, bytes]:
    options = {1: network.netmask.packed}
    if router is not None:
        options[3] = router.packed
    if name_servers:
        options[6] = b"".join(server.packed for server in name_servers)
    if domain:
        options[15] = domain.encode("ascii")
    options[28] = network.broadcast_address.packed
    return options


def _reserved(networks: Iterable[Network], hosts: Mapping[bytes, Host]) -> dict[int, bytes]:
    reserved: dict[int, bytes] = {}
    for network in networks:
        addresses = (network.server, network.next_server, *_addresses(network.options.get(3, b"")))
        addresses += tuple(_addresses(network.options.get(6, b"")))
        reserved |= dict.fromkeys((address for address in addresses if address), b"")
    return reserved | {host.address: mac for mac, host in hosts.items() if host.address}


def _addresses(raw: bytes) -> Iterable[int]:
    return (int.from_bytes(raw[at : at + 4], "big") for at in range(0, len(raw), 4))


def _menu(menu: MenuConfig) -> Menu:
    items = tuple(Item(item.text, "" if item.file == LOCAL else item.file, item.origin) for item in menu.items)
    return Menu(menu.prompt, menu.timeout, items, menu.origin)


def _hosts(config: Config) -> dict[bytes, Host]:
    hosts = {entry.mac: Host(address=int(entry.address), address_origin=entry.origin) for entry in config.static_dhcp}
    for host in config.hosts:
        static = hosts.get(host.mac, NOTHING)
        hosts[host.mac] = Host(
            address=int(host.address) if host.address else static.address,
            address_origin=host.origins.get("address") or static.address_origin,
            hostname=host.hostname,
            boot_file=host.bootfile,
            boot_file_origin=host.origins.get("bootfile"),
            allow=host.allow,
            allow_origin=host.origins.get("allow"),
            variables=host.variables,
        )
    return hosts
