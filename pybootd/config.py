"""
The configuration as values: every section and option of C{pybootd.ini}, typed, with its default.

Defaults stand here and nowhere else.  L{pybootd.reader} fills these classes from a file; nothing here reads one.
Every option says in its metadata how its text becomes a value (L{pybootd.words}).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from pybootd import words
from pybootd.origin import Origin


def option(parse: Callable[[str], Any], default: Any, *aliases: str) -> Any:
    """One option: how it is read, what it is when nobody wrote it, and its other spellings."""
    return attrs.field(default=default, metadata={"parse": parse, "aliases": aliases})


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

    access: tuple[str, ...] = option(words.names, ())
    address: IPv4Address = option(words.address, IPv4Address("0.0.0.0"))
    interface: tuple[str, ...] = option(words.listed, ())
    allow_simple_dhcp: bool = option(words.boolean, False)
    domain: str = option(words.domain, "")
    servername: str = option(words.domain, "", "server_name")
    dns: tuple[IPv4Address, ...] | None = option(words.dns, ())
    """None: those of the host (C{auto})."""
    gateway: IPv4Address | None = option(words.gateway, None)
    """None: the server itself; 0.0.0.0 where C{none} was written."""
    set_gateway: bool = option(words.boolean, True)
    netmask: IPv4Address | None = option(words.netmask, None)
    lease_time: int = option(words.whole(60, 0xFFFFFFFE), 86400)
    pool_start: IPv4Address | None = option(words.address, None)
    pool_count: int = option(words.whole(0, 1 << 24), 10)
    pool_end: IPv4Address | None = option(words.address, None)
    notify: tuple[tuple[str, int], ...] = option(words.endpoints, ())
    port: int = option(words.whole(1, 65534), 67)
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


@frozen
class HttpAccessConfig:
    """C{[http]}: the web server that is asked who may boot."""

    location: str = option(words.location, "")
    pxe: str = option(words.text, "")
    dhcp: str = option(words.text, "")
    always_check: bool = option(words.boolean, False)
    timeout: float | None = option(words.seconds(0.1, 300), None)


@frozen
class TftpdConfig:
    """C{[tftpd]}"""

    address: IPv4Address | None = option(words.address, None)
    port: int = option(words.whole(0, 65535), 69)
    timeout: float = option(words.seconds(0.05, 255), 2.0)
    root: str = option(words.root, "")
    blocksize: int = option(words.whole(8, 65464), 512)
    max_blocksize: int = option(words.whole(512, 65464), 65464)
    max_windowsize: int = option(words.whole(1, 65535), 64)
    retries: int = option(words.whole(0, 20), 5)
    single_port: bool = option(words.boolean, False)
    ignore_case: bool = option(words.boolean, False)
    upload: Path | None = option(words.path, None)


@frozen
class HttpdConfig:
    """C{[httpd]}"""

    enable: bool = option(words.boolean, False)
    address: IPv4Address | None = option(words.address, None)
    port: int = option(words.whole(0, 65535), 80)
    root: str = option(words.root, "")
    check_ip: bool = option(words.boolean, True)
    tls_certificate: Path | None = option(words.path, None)
    tls_key: Path | None = option(words.path, None)


@frozen
class CacheConfig:
    """C{[cache]}"""

    directory: Path | None = option(words.path, None)
    size: int = option(words.size, 4 << 30)


@frozen
class LimitsConfig:
    """C{[limits]}"""

    transfers: int = option(words.whole(1, 100_000), 1024)
    transfers_per_client: int = option(words.whole(1, 10_000), 16)
    connections: int = option(words.whole(1, 100_000), 1024)
    connections_per_client: int = option(words.whole(1, 10_000), 32)
    machines: int = option(words.whole(1, 10_000_000), 100_000)
    offers: int = option(words.whole(1, 1_000_000), 4096)
    questions: int = option(words.whole(1, 10_000), 64)
    log_lines: int = option(words.whole(1, 10_000), 50)
    upload_size: int = option(words.size, 64 << 20)


@frozen
class StatusConfig:
    """C{[status]}"""

    enable: bool = option(words.boolean, False)
    address: IPv4Address = option(words.address, IPv4Address("127.0.0.1"))
    port: int = option(words.whole(0, 65535), 8067)
    token: str = option(words.text, "")


@frozen
class SubnetConfig:
    """C{[subnet A.B.C.D/N]}: one further network.  What it leaves out, C{[bootpd]} says."""

    network: IPv4Network
    origin: Origin
    pool_start: IPv4Address | None = option(words.address, None)
    pool_count: int = option(words.whole(0, 1 << 24), 10)
    gateway: IPv4Address | None = option(words.gateway, None)
    dns: tuple[IPv4Address, ...] | None = option(words.dns, ())
    domain: str = option(words.domain, "")
    lease_time: int | None = option(words.whole(60, 0xFFFFFFFE), None)
    next_server: IPv4Address | None = option(words.address, None)
    interface: str = option(words.text, "")
    origins: Mapping[str, Origin] = attrs.field(factory=dict)


@frozen
class HostConfig:
    """C{[host MAC]}: one machine."""

    mac: bytes
    origin: Origin
    address: IPv4Address | None = option(words.address, None)
    hostname: str = option(words.hostname, "")
    bootfile: str = option(words.text, "")
    allow: bool | None = option(words.boolean, None)
    variables: Mapping[str, str] = attrs.field(factory=dict)
    origins: Mapping[str, Origin] = attrs.field(factory=dict)


@frozen
class Access:
    """One line of C{[mac]}, C{[uuid]} or C{[buggy_clients]}."""

    who: words.Masked
    allowed: bool
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
    origin: Origin


@frozen
class Config:
    """A whole configuration, checked."""

    file: str
    directory: Path
    """The daemon's directory: where C{./} starts."""
    dhcp: bool = True
    tftp: bool = True
    http_server: bool = False
    debug: bool = False
    logger: LoggerConfig = LoggerConfig()
    bootpd: BootpdConfig = BootpdConfig()
    leases: LeasesConfig = LeasesConfig()
    http: HttpAccessConfig = HttpAccessConfig()
    tftpd: TftpdConfig = TftpdConfig()
    httpd: HttpdConfig = HttpdConfig()
    cache: CacheConfig = CacheConfig()
    limits: LimitsConfig = LimitsConfig()
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
    plugins: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)
    """The options of sections that belong to plugins, as text."""
    origins: Mapping[tuple[str, str], Origin] = attrs.field(factory=dict)
    warnings: tuple[str, ...] = ()

    def origin(self, section: str, option: str) -> Origin:
        """Where an option was said, or that it is a default."""
        return self.origins.get((section, option)) or Origin("", 0, section, option)
