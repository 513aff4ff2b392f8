"""
What C{pybootd check} says: what would be served where on this host, and what would fail.

The host's interfaces and name servers are arguments; of the host itself only the file system is looked at.  Nothing is
bound, opened or changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from attrs import frozen

from pybootd.config import Config
from pybootd.config.origin import Origin, Problem
from pybootd.content.patterns import Value, compile_pattern
from pybootd.content.program import head_of, unfit
from pybootd.content.urls import is_url, shown
from pybootd.dhcp.settings import HostInterface, Network, settings_from, unserved
from pybootd.errors import EnvironmentProblem
from pybootd.library import named


class Kind(Enum):
    """How grave it is."""

    FACT = ""
    WARNING = "warning: "
    PROBLEM = "error: "
    """The daemon would not start."""


@frozen
class Finding:
    """One line for a person."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.kind.value}{self.text}"


def check(
    config: Config,
    interfaces: Sequence[HostInterface],
    name_servers: Sequence[IPv4Address] = (),
    way_out: str = "",
) -> tuple[Finding, ...]:
    """
    Look at everything that the daemon would use.

    @param interfaces: this host's.
    @param name_servers: this host's, for C{dns = auto}.
    @param way_out: the interface of its default route.
    @return: what would be used first, then warnings, then what would keep the daemon from starting.
    """
    findings = [Finding(Kind.WARNING, text) for text in config.warnings]
    findings += _logger(config)
    findings += _addresses(config, interfaces)
    if config.dhcp:
        findings += _dhcp(config, interfaces, name_servers, way_out)
        findings += _access(config)
        findings += _leases(config)
    if config.tftp:
        findings += _tftp(config)
    if config.http_server:
        findings += _http(config)
    findings += _names(config)
    if config.status.enable:
        status = config.status
        who = "who has the token" if status.token else "this host's own users"
        findings.append(_fact(f"Dashboard: http://{status.address}:{status.port}/, for {who}"))
    if config.webhook.url:
        findings.append(_fact(f"Webhook: {shown(config.webhook.url)} is told of {', '.join(config.webhook.events)}"))
    kinds = list(Kind)
    return tuple(sorted(findings, key=lambda finding: kinds.index(finding.kind)))


def _fact(text: str) -> Finding:
    return Finding(Kind.FACT, text)


def _warning(origin: Origin, what: str, wrote: object) -> Finding:
    return Finding(Kind.WARNING, str(Problem(origin, what, str(wrote))))


def _problem(origin: Origin, what: str, wrote: object) -> Finding:
    return Finding(Kind.PROBLEM, str(Problem(origin, what, str(wrote))))


def _addresses(config: Config, interfaces: Sequence[HostInterface]) -> Iterator[Finding]:
    """Addresses to listen at that this host does not have."""
    services = (
        ("bootpd", config.bootpd.address, config.bootpd.address, config.dhcp),
        ("tftpd", config.tftpd.address, config.tftp_address, config.tftp),
        ("httpd", config.httpd.address, config.http_address, config.http_server),
        ("status", config.status.address, config.status.address, config.status.enable),
    )
    asked = {
        config.origin(section if own is not None else "bootpd", "address"): address
        for section, own, address, runs in services
        if runs and not address.is_unspecified and not address.is_loopback
    }
    here = [own.ip for one in interfaces for own in one.addresses]
    for origin, address in asked.items():
        if address not in here:
            known = ", ".join(str(one) for one in here if not one.is_loopback) or "only loopback"
            yield _problem(origin, f"is no address of this host, which has {known}", address)


# DHCP


def _dhcp(
    config: Config, interfaces: Sequence[HostInterface], name_servers: Sequence[IPv4Address], way_out: str
) -> Iterator[Finding]:
    proxy = config.bootpd.mode == "proxy"
    ports = f"{config.bootpd.port} and 4011" if proxy else str(config.bootpd.port)
    yield _fact(f"DHCP: {'proxy' if proxy else 'server'} on {config.bootpd.address}, UDP port {ports}")
    try:
        networks = settings_from(config, interfaces, name_servers, way_out).networks
    except EnvironmentProblem as error:
        yield Finding(Kind.PROBLEM, str(error))
        return
    names = {one.index: one.name for one in interfaces}
    for network in networks:
        yield _fact(f"  {_described(network, names, proxy)}")
        if network.origin == config.origin("bootpd", "pool_start"):
            yield from _home(config, network)
    for problem in unserved(config, networks, interfaces):
        yield Finding(Kind.WARNING, str(problem))
    yield from _never(config, networks)
    yield from _fixed(config, networks)
    if config.bootpd.dns is None and not name_servers:
        yield _warning(config.origin("bootpd", "dns"), "this host knows no name server that others can reach", "auto")
    if config.bootpd.notify:
        yield _fact("  notifies " + ", ".join(f"{host}:{port}" for host, port in config.bootpd.notify))


def _described(network: Network, names: dict[int, str], proxy: bool) -> str:
    where = names.get(network.interface, "")
    text = f"{where or 'relayed'}: {_as_network(network)} as {IPv4Address(network.server)}"
    if proxy:
        return f"{text}, boot files only"
    if not network.pool_count:
        return f"{text}, static addresses only"
    first, last = IPv4Address(network.pool_first), IPv4Address(network.pool_first + network.pool_count - 1)
    return f"{text}, pool {first} to {last} ({network.pool_count}), leases of {network.lease_time} s"


def _as_network(network: Network) -> IPv4Network:
    return IPv4Network((network.first, 32 - (network.last - network.first).bit_length()))


def _home(config: Config, network: Network) -> Iterator[Finding]:
    """Whether C{[bootpd]}'s own addresses fit into the interface's network, of which the configuration says nothing."""
    gateway = config.bootpd.gateway
    if gateway and int(gateway) and int(gateway) not in network:
        what = f"is outside {_as_network(network)}, where its machines cannot reach it"
        yield _warning(config.origin("bootpd", "gateway"), what, gateway)


def _never(config: Config, networks: Sequence[Network]) -> Iterator[Finding]:
    """Sections C{[subnet]} that nobody reaches: C{[bootpd]}, which comes first, serves these addresses."""
    homes = networks[: len(networks) - len(config.subnets)]
    for subnet in config.subnets:
        for network in homes:
            if _as_network(network).overlaps(subnet.network):
                what = f"overlaps {_as_network(network)}, which [bootpd] serves: nobody there is served by this section"
                yield Finding(Kind.WARNING, str(Problem(subnet.origin, what)))


def _fixed(config: Config, networks: Sequence[Network]) -> Iterator[Finding]:
    """Fixed addresses that no machine could be given."""
    fixed = [(entry.origin, entry.address) for entry in config.static_dhcp]
    fixed += [(host.origins["address"], host.address) for host in config.hosts if host.address]
    for origin, address in fixed:
        if not any(int(address) in network for network in networks):
            yield _warning(origin, "is on no network that is served", address)
        elif any(int(address) == network.server for network in networks):
            yield _problem(origin, "is this server's own address", address)


def _access(config: Config) -> Iterator[Finding]:
    if not config.bootpd.access:
        yield _fact("  everybody is served")
    for name in config.bootpd.access:
        lines = getattr(config, name) if name in ("mac", "uuid") else ()
        detail = f", {len(lines)} lines" if lines else ""
        yield _fact(f"  [{name}] must agree{f': {shown(config.http.location)}' if name == 'http' else detail}")


def _leases(config: Config) -> Iterator[Finding]:
    if config.bootpd.mode == "proxy":
        return
    kind, _, path = config.leases.store.partition(":")
    yield _fact(f"  leases: {shown(config.leases.store)}")
    if kind == "sqlite":
        yield from _directory(config.origin("leases", "store"), Path(path).parent)


# TFTP and HTTP


def _tftp(config: Config) -> Iterator[Finding]:
    tftpd = config.tftpd
    yield _fact(f"TFTP: {config.tftp_address}, UDP port {tftpd.port}, root {shown(tftpd.root) or '(none)'}")
    yield from _root(config.origin("tftpd", "root"), tftpd.root)
    if tftpd.upload is not None:
        yield _fact(f"  clients may write new files to {tftpd.upload}")
        yield from _directory(config.origin("tftpd", "upload"), tftpd.upload)


def _http(config: Config) -> Iterator[Finding]:
    httpd = config.httpd
    who = "machines that were given an address" if httpd.check_ip else "everybody"
    scheme = "HTTPS" if httpd.tls_certificate else "HTTP"
    where = f"{config.http_address}, TCP port {httpd.port}, root {shown(config.http_root) or '(none)'}"
    yield _fact(f"{scheme}: {where}, for {who}")
    if httpd.root:
        yield from _root(config.origin("httpd", "root"), httpd.root)
    for name, path in (("tls_certificate", httpd.tls_certificate), ("tls_key", httpd.tls_key)):
        if path is not None and not path.is_file():
            yield _problem(config.origin("httpd", name), "there is no such file", path)


def _root(origin: Origin, root: str) -> Iterator[Finding]:
    if root and not is_url(root):
        yield from _directory(origin, Path(root))


def _directory(origin: Origin, path: Path) -> Iterator[Finding]:
    if not path.is_dir():
        yield _problem(origin, "is a file, not a directory" if path.exists() else "there is no such directory", path)


# names of files


def _names(config: Config) -> Iterator[Finding]:
    if config.filters or config.templates:
        yield _fact(f"Names: {len(config.filters)} in [filters], {len(config.templates)} in [templates]")
    for template in config.templates:
        if not Path(template.value).is_file():
            yield _warning(template.origin, "there is no such template", template.value)
    for rule in config.filters:
        yield from _indirect(rule.origin, Value.parse(rule.value), config)
    if config.cache.directory is not None:
        yield from _directory(config.origin("cache", "directory"), config.cache.directory.parent)
        yield _fact(f"Cache: {config.cache.directory}, up to {config.cache.size >> 20} MiB")
    yield from _boot_files(config)


def _indirect(origin: Origin, value: Value, config: Config) -> Iterator[Finding]:
    """C{[file]}: the file that holds the name is this host's."""
    name = value.parts[0]
    if value.indirect and not value.names and not is_url(name):
        path = _place(name, config.tftpd.root, config.directory)
        if path is not None and not path.is_file():
            yield _warning(origin, "there is no such file to read the name from", f"[{name}]")


def _boot_files(config: Config) -> Iterator[Finding]:
    """
    Boot files that are to be had by name, but are not there, or that such a machine cannot start; what another server
    has is not known.
    """
    if config.bootpd.next_server is not None:
        return
    rewritten = [compile_pattern(rule.pattern) for rule in (*config.templates, *config.filters)]
    roots = [root for root, runs in ((config.tftpd.root, config.tftp), (config.http_root, config.http_server)) if runs]
    for one in named(config):
        name = one.file.replace("\\", "/").lstrip("/")
        if is_url(one.file) or any(pattern.fullmatch(name) for pattern in rewritten):
            continue
        places = [_place(name, root) for root in roots if root]
        found = next((place for place in places if place is not None and place.is_file()), None)
        if found is not None:
            what = unfit(head_of(found), one.machine.architecture, one.ipxe)
            if what:
                yield _warning(one.origin, what, one.file)
        elif places and None not in places:  # there is no knowing of remote roots
            yield _warning(one.origin, "there is no such file below the root", one.file)


def _place(name: str, root: str, directory: Path | None = None) -> Path | None:
    """Where a name that the administrator wrote leads; None where that is a remote root."""
    if directory is not None and name.startswith("./"):
        return directory / name
    if is_url(root):
        return None
    return Path(root) / name


def _logger(config: Config) -> Iterator[Finding]:
    logger = config.logger
    level = "debug" if config.debug else logger.level
    yield _fact(f"Log: {logger.file if logger.type == 'file' else logger.type}, {level}, {logger.format}")
    if logger.type == "file" and logger.file is not None:
        yield from _directory(config.origin("logger", "file"), logger.file.parent)
