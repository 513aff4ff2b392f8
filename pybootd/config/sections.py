"""
The configuration as values: every section and option of C{pybootd.ini}, typed, with its default.

Defaults stand here and nowhere else.  L{pybootd.config.reader} fills these classes from a file; nothing here reads one.
Every option says in its metadata how its text becomes a value (L{pybootd.config.words}).
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import attrs
from attrs import field, frozen

from pybootd.config import words
from pybootd.config.origin import Origin

FOREVER = 0xFFFFFFFF
"""Seconds, as DHCP writes a lease without end (RFC 2131 3.3)."""


def option(parse: words.Parser, default: Any, *aliases: str) -> Any:
    """One option: how it is read, what it is when nobody wrote it, and its other spellings."""
    return field(default=default, metadata={"parse": parse, "aliases": aliases})


@frozen
class LoggerConfig:
    """C{[logger]}"""

    type: str = option(words.choice("stderr", "stdout", "file", "syslog", "journald", "none"), "stderr")
    level: str = option(words.choice("critical", "error", "warning", "info", "debug", all="debug"), "info")
    file: Path | None = option(words.path, None)
    format: str = option(words.choice("text", "json"), "text")


@frozen
class BootpdConfig:
    """C{[bootpd]}: BOOTP, DHCP and PXE."""

    access: tuple[str, ...] = option(words.backends, ())
    address: IPv4Address = option(words.address, IPv4Address("0.0.0.0"))
    interface: tuple[str, ...] = option(words.listed(words.interface), ())
    allow_simple_dhcp: bool = option(words.boolean, False)
    domain: str = option(words.domain, "")
    servername: str = option(words.domain, "", "server_name")
    dns: tuple[IPv4Address, ...] | None = option(words.dns, ())
    """None: those of the host (C{auto})."""
    gateway: IPv4Address | None = option(words.gateway, None)
    """None: the server itself; 0.0.0.0: no gateway is named (C{none})."""
    set_gateway: bool = option(words.boolean, True)
    netmask: IPv4Address | None = option(words.netmask, None)
    """None: that of the interface."""
    lease_time: int = option(words.whole(1, FOREVER), 86400)
    next_server: IPv4Address | None = option(words.unicast, None)
    """None: this server."""
    pool_start: IPv4Address | None = option(words.unicast, None)
    pool_count: int = option(words.whole(0, 1 << 24), 10)
    pool_end: IPv4Address | None = option(words.unicast, None)
    """Another way to write C{pool_count}, which the reader sets by it."""
    notify: tuple[words.Endpoint, ...] = option(words.listed(words.endpoint), ())
    port: int = option(words.whole(1, 65534), 67)
    """Clients are at the port above it."""
    timeout: float = option(words.seconds(0.1, 300), 5.0)
    mode: str = option(words.choice("server", "proxy"), "server")
    reclaim: str = option(words.choice("never", "expired"), "never")
    broadcast: str = option(words.choice("limited", "network"), "limited")
    conflict_check: float = option(words.seconds(0, 10), 0.5)
    authoritative: bool = option(words.boolean, True)
    router_advertisement: bool = option(words.boolean, False)


@frozen
class LeasesConfig:
    """C{[leases]}"""

    store: str = option(words.store, "sqlite:./pybootd.leases")
    """C{sqlite:}'s path is absolute once it is read."""


@frozen
class HttpAccessConfig:
    """C{[http]}: the web server that is asked who may boot."""

    location: str = option(words.location, "")
    pxe: str = option(words.url_path, "")
    dhcp: str = option(words.url_path, "")
    always_check: bool = option(words.boolean, False)
    timeout: float | None = option(words.seconds(0.1, 300), None)
    """None: that of C{[bootpd]}; see L{Config.access_timeout}."""


@frozen
class TftpdConfig:
    """C{[tftpd]}"""

    address: IPv4Address | None = option(words.address, None)
    """None: that of C{[bootpd]}; see L{Config.tftp_address}."""
    port: int = option(words.port, 69)
    timeout: float = option(words.seconds(0.05, 255), 2.0)
    root: str = option(words.root, "")
    """An absolute path or a URL once it is read; nothing where none is set."""
    blocksize: int = option(words.whole(8, 65464), 512)
    max_blocksize: int = option(words.whole(8, 65464), 65464)
    max_windowsize: int = option(words.whole(1, 65535), 64)
    retries: int = option(words.whole(0, 100), 5)
    single_port: bool = option(words.boolean, False)
    ignore_case: bool = option(words.boolean, False)
    upload: Path | None = option(words.path, None)
    workers: int = option(words.whole(0, 64), 0)
    """Processes that send large files; none: the main process does."""


@frozen
class HttpdConfig:
    """C{[httpd]}"""

    enable: bool = option(words.boolean, False)
    """C{-H} asks for it too; see L{Config.http_server}."""
    address: IPv4Address | None = option(words.address, None)
    """None: that of C{[bootpd]}; see L{Config.http_address}."""
    port: int = option(words.port, 80)
    root: str = option(words.root, "")
    """As in L{TftpdConfig}; nothing: the same as TFTP.  See L{Config.http_root}."""
    check_ip: bool = option(words.boolean, True)
    tls_certificate: Path | None = option(words.path, None)
    tls_key: Path | None = option(words.path, None)
    workers: int = option(words.whole(0, 64), 0)
    """As in L{TftpdConfig}."""


@frozen
class CacheConfig:
    """C{[cache]}: remote roots on disk."""

    directory: Path | None = option(words.path, None)
    """None: no cache."""
    size: int = option(words.size, 4 << 30)


@frozen
class LimitsConfig:
    """C{[limits]}: ceilings that a hall of honest machines does not touch."""

    transfers: int = option(words.whole(1, 100_000), 1024)
    """TFTP transfers at once."""
    transfers_per_client: int = option(words.whole(1, 100_000), 512)
    """Of them, to one address: many machines may stand behind one."""
    connections: int = option(words.whole(1, 100_000), 1000)
    """HTTP connections at once."""
    connections_per_client: int = option(words.whole(1, 100_000), 300)
    """Of them, from one address: many machines may stand behind one."""
    waiting_connections: int = option(words.whole(1, 100_000), 500)
    """Of them, those that wait for a request, or for the rest of one."""
    header_size: int = option(words.whole(1024, 1 << 20), 16384)
    """Bytes of a request's header."""
    header_time: float = option(words.seconds(1, 3600), 30.0)
    """Seconds for a whole header, and for the time between two requests."""
    window_size: int = option(words.size, 128 << 10)
    """Bytes that are on their way to one TFTP client at once; a window holds one block at least."""
    machines: int = option(words.whole(1, 10_000_000), 10_000)
    """Machines remembered, the latest ones."""
    offers: int = option(words.whole(1, 1_000_000), 4096)
    """Addresses offered and not yet asked for."""
    questions: int = option(words.whole(1, 10_000), 64)
    """Questions to access backends under way."""
    probes: int = option(words.whole(1, 100_000), 1024)
    """Machines that wait for the probe of an address."""
    claims: int = option(words.whole(1, 1_000_000), 65536)
    """Leases that wait to be written down."""
    log_events: int = option(words.whole(1, 1_000_000), 20_000)
    """Events that wait for their log line."""
    webhook_events: int = option(words.whole(1, 1_000_000), 1000)
    """Events that wait for the web hook."""
    status_connections: int = option(words.whole(1, 100_000), 256)
    """Connections to the status site at once."""
    status_readers: int = option(words.whole(1, 100_000), 64)
    """Of them, those that read its live stream."""
    log_lines: int = option(words.whole(1, 100_000), 50)
    """Log lines a second about one client."""
    upload_size: int = option(words.size, 64 << 20)
    """Bytes of one file that a client writes."""


@frozen
class WebhookConfig:
    """C{[webhook]}: a web server that is told what happens."""

    url: str = option(words.web_page, "")
    """Nothing: nobody is told."""
    events: tuple[str, ...] = option(words.event_kinds, ("leased", "released"))
    timeout: float = option(words.seconds(0.1, 300), 10.0)


@frozen
class StatusConfig:
    """C{[status]}"""

    enable: bool = option(words.boolean, False)
    address: IPv4Address = option(words.address, IPv4Address("127.0.0.1"))
    port: int = option(words.port, 8067)
    token: str = option(words.text, "")


@frozen
class SubnetConfig:
    """C{[subnet A.B.C.D/N]}: one further network.  What it leaves out, C{[bootpd]} says."""

    network: IPv4Network
    origin: Origin
    pool_start: IPv4Address | None = option(words.unicast, None)
    """None: static addresses only."""
    pool_count: int = option(words.whole(0, 1 << 24), 10)
    gateway: IPv4Address | None = option(words.gateway, None)
    """None: this server, where it is on that network itself; 0.0.0.0: none is named."""
    dns: tuple[IPv4Address, ...] | None = option(words.dns, ())
    """Counts where C{origins} has it."""
    domain: str = option(words.domain, "")
    lease_time: int | None = option(words.whole(1, FOREVER), None)
    next_server: IPv4Address | None = option(words.unicast, None)
    interface: str = option(words.interface, "")
    origins: Mapping[str, Origin] = field(factory=dict)
    """Which options were said, and where."""


@frozen
class HostConfig:
    """C{[host MAC]}: one machine."""

    mac: bytes
    origin: Origin
    address: IPv4Address | None = option(words.unicast, None)
    hostname: str = option(words.hostname, "")
    bootfile: str = option(words.filled, "")
    allow: bool | None = option(words.boolean, None)
    """None: nothing is said here."""
    variables: Mapping[str, str] = field(factory=dict)
    """C{var.NAME}, the names in lower case."""
    origins: Mapping[str, Origin] = field(factory=dict)
    """As in L{SubnetConfig}."""


@frozen
class Access:
    """One line of C{[mac]}, C{[uuid]} or C{[buggy_clients]}."""

    who: words.Masked
    allowed: bool
    """What the line says: yes or no."""
    origin: Origin


@frozen
class Static:
    """One line of C{[static_dhcp]}."""

    mac: bytes
    address: IPv4Address
    origin: Origin


@frozen
class BootFile:
    """One line of C{[bootfile]}."""

    architecture: int | None
    """None for C{default} and C{ipxe}."""
    ipxe: bool
    file: str
    origin: Origin


@frozen
class Pattern:
    """One line of C{[filters]} or C{[templates]}."""

    pattern: str
    value: str
    """As it was written; a template's path is absolute."""
    origin: Origin


@frozen
class MenuItem:
    """One line of a C{[menu]}: what the screen shows, and the file; C{local} is the next boot device."""

    text: str
    file: str
    origin: Origin


@frozen
class MenuConfig:
    """C{[menu]}, C{[menu ARCHITECTURE]}: a choice at the machine's screen."""

    architecture: int | None
    """None: as C{default} in C{[bootfile]}."""
    origin: Origin
    prompt: str = option(words.screen, "Press F8 for the boot menu")
    timeout: int = option(words.whole(0, 255), 10)
    """Seconds until the first item is taken; 255: never."""
    items: tuple[MenuItem, ...] = ()


@frozen
class Config:
    """A whole configuration, checked."""

    file: str
    directory: Path
    """The daemon's directory: where C{./} starts."""
    dhcp: bool = True
    tftp: bool = True
    http_server: bool = False
    """HTTP was asked for, by C{-H} or C{[httpd] enable}."""
    debug: bool = False
    logger: LoggerConfig = LoggerConfig()
    bootpd: BootpdConfig = BootpdConfig()
    leases: LeasesConfig = LeasesConfig()
    http: HttpAccessConfig = HttpAccessConfig()
    tftpd: TftpdConfig = TftpdConfig()
    httpd: HttpdConfig = HttpdConfig()
    cache: CacheConfig = CacheConfig()
    limits: LimitsConfig = LimitsConfig()
    webhook: WebhookConfig = WebhookConfig()
    status: StatusConfig = StatusConfig()
    mac: tuple[Access, ...] = ()
    uuid: tuple[Access, ...] = ()
    buggy_clients: tuple[Access, ...] = ()
    static_dhcp: tuple[Static, ...] = ()
    bootfile: tuple[BootFile, ...] = ()
    filters: tuple[Pattern, ...] = ()
    templates: tuple[Pattern, ...] = ()
    subnets: tuple[SubnetConfig, ...] = ()
    hosts: tuple[HostConfig, ...] = ()
    menus: tuple[MenuConfig, ...] = ()
    plugins: Mapping[str, Mapping[str, str]] = field(factory=dict)
    """The options of sections that belong to plugins, as text; see L{plugin_options}."""
    origins: Mapping[tuple[str, str], Origin] = field(factory=dict)
    """Section (in lower case) and option, and where they stand; the option is empty for the section's own line."""
    warnings: tuple[str, ...] = ()
    """Finished lines, as those of L{pybootd.errors.ConfigError}."""

    def origin(self, section: str, option: str = "") -> Origin:
        """Where an option was said (or a section begins), or that it is a default."""
        return self.origins.get((section, option)) or Origin("", 0, section, option)

    def plugin_options(self, name: str) -> Mapping[str, str]:
        """The options of a plugin's section: their names in lower case, their text."""
        return self.plugins.get(name.lower(), {})

    @property
    def tftp_address(self) -> IPv4Address:
        """Where TFTP listens."""
        return self.tftpd.address or self.bootpd.address

    @property
    def http_address(self) -> IPv4Address:
        """Where HTTP listens."""
        return self.httpd.address or self.bootpd.address

    @property
    def http_root(self) -> str:
        """What HTTP serves: its own root, or that of TFTP."""
        return self.httpd.root or self.tftpd.root

    @property
    def access_timeout(self) -> float:
        """Seconds that an access backend may take."""
        return self.bootpd.timeout if self.http.timeout is None else self.http.timeout


def pool(section: BootpdConfig | SubnetConfig) -> tuple[int, int] | None:
    """The first and the last address of a section's pool, as integers; None where it has no pool."""
    if section.pool_start is None or not section.pool_count:
        return None
    return int(section.pool_start), int(section.pool_start) + section.pool_count - 1


SECTIONS: Mapping[str, type[Any]] = {
    "logger": LoggerConfig,
    "bootpd": BootpdConfig,
    "leases": LeasesConfig,
    "http": HttpAccessConfig,
    "tftpd": TftpdConfig,
    "httpd": HttpdConfig,
    "cache": CacheConfig,
    "limits": LimitsConfig,
    "webhook": WebhookConfig,
    "status": StatusConfig,
    "subnet": SubnetConfig,
    "host": HostConfig,
    "menu": MenuConfig,
}
"""Sections with options of their own.  The last three stand once for each network, machine or architecture."""

LISTS = ("mac", "uuid", "static_dhcp", "bootfile", "buggy_clients", "filters", "templates")
"""Sections whose options are data."""


def options(section: str) -> Mapping[str, attrs.Attribute[Any]]:
    """The options of one of L{SECTIONS}, by name; how each is read is in its metadata."""
    return {one.name: one for one in attrs.fields(SECTIONS[section]) if "parse" in one.metadata}
