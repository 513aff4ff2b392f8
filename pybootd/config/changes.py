"""
What differs between two configurations, as a person reads it: which option, from what, to what.

Pure.  Line numbers and comments are no difference; secrets are not shown.  Which machines notice, is
L{pybootd.dhcp.preview}'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from attrs import evolve, frozen

from pybootd.config.sections import (
    SECTIONS,
    Access,
    BootFile,
    Config,
    HostConfig,
    MenuConfig,
    Pattern,
    Static,
    SubnetConfig,
    options,
)
from pybootd.config.words import MAC_BITS, UUID_BITS
from pybootd.content.urls import is_url, shown
from pybootd.dhcp.architectures import name_of
from pybootd.machine import mac_text
from pybootd.text import printable

NOTHING = "(none)"
"""Stands for a line that is not there."""

RESTART = frozenset(
    {
        ("bootpd", "address"),
        ("bootpd", "port"),
        ("bootpd", "mode"),
        ("bootpd", "router_advertisement"),
        ("leases", "store"),
        ("tftpd", "address"),
        ("tftpd", "port"),
        ("httpd", "enable"),
        ("httpd", "address"),
        ("httpd", "port"),
        ("cache", "directory"),
        ("cache", "size"),
        ("status", "enable"),
        ("status", "address"),
        ("status", "port"),
        ("status", "token"),
    }
)
"""Options that hold for as long as the server runs: sockets that were opened with privileges, and stores."""

_SECRET = frozenset({("status", "token")})
_REPEATED = ("subnet", "host", "menu")
_TLS = ("tls_certificate", "tls_key")


@frozen
class Change:
    """One line of the configuration that is another now."""

    section: str
    """Without its brackets."""
    option: str
    before: str
    """As a person would write it; L{NOTHING} where there was no such line."""
    after: str
    restart: bool = False
    """It cannot be changed while the server runs."""

    def __str__(self) -> str:
        return f"[{self.section}] {self.option}: {self.before} -> {self.after}"


def changes(before: Config, after: Config) -> Sequence[Change]:
    """Every difference, in the order of the sections."""
    old, new = dict(_lines(before)), dict(_lines(after))
    found = [
        _change(section, option, old.get((section, option)), new.get((section, option)))
        for section, option in {**old, **new}
        if old.get((section, option)) != new.get((section, option))
    ]
    store = before.leases.store.partition(":")[0]
    found = [evolve(change, restart=True) if change.section == store else change for change in found]
    return [*found, *_orders(before, after)]


def _change(section: str, option: str, before: object, after: object) -> Change:
    restart = (section, option) in RESTART or (option in _TLS and section == "httpd" and None in (before, after))
    if (section, option) in _SECRET:
        return Change(section, option, "...", "...", restart)
    return Change(section, option, _text(before), _text(after), restart)


def _orders(before: Config, after: Config) -> Iterator[Change]:
    """The same lines in another order: the first match decides."""
    for name in ("filters", "templates"):
        old, new = ([rule.pattern for rule in getattr(config, name)] for config in (before, after))
        if old != new and sorted(old) == sorted(new):
            yield Change(name, "order", printable("; ".join(old)), printable("; ".join(new)))


# a configuration as lines


def _lines(config: Config) -> Iterator[tuple[tuple[str, str], object]]:
    """Every line by its section and option; None: not said."""
    for section in SECTIONS:
        if section not in _REPEATED:
            for name in options(section):
                yield (section, name), _value(config, section, name)
    for section, lines in _LISTS.items():
        for name, value in lines(getattr(config, section)):
            yield (section, name), value
    for subnet in config.subnets:
        yield from _section(f"subnet {subnet.network}", subnet, "subnet")
    for host in config.hosts:
        name = f"host {_dashed(host.mac)}"
        yield from _section(name, host, "host")
        yield from (((name, f"var.{variable}"), value) for variable, value in host.variables.items())
    for menu in config.menus:
        name = "menu" if menu.architecture is None else f"menu {name_of(menu.architecture)}"
        yield from _section(name, menu, "menu")
        yield (name, "items"), tuple(f"{item.text} = {item.file}" for item in menu.items)
    for plugin, said in config.plugins.items():
        yield (plugin, "section"), True
        yield from (((plugin, option), _Hidden(text)) for option, text in said.items())


def _value(config: Config, section: str, name: str) -> object:
    """An option's value, as it takes effect."""
    if (section, name) == ("httpd", "enable"):
        return config.http_server  # the command line may have asked for it
    if section in ("tftpd", "httpd") and name == "address":
        return config.tftp_address if section == "tftpd" else config.http_address
    if name == "pool_end":
        return None  # pool_count says it
    return getattr(getattr(config, section), name)


def _section(name: str, section: SubnetConfig | HostConfig | MenuConfig, kind: str) -> Iterator[Any]:
    yield (name, "section"), True
    for option in options(kind):
        said = getattr(section, "origins", None)
        if said is None or option in said:
            yield (name, option), getattr(section, option)


def _access(entries: Iterable[Access]) -> Iterator[tuple[str, object]]:
    for entry in entries:
        yield _masked(entry), entry.allowed


def _masked(entry: Access) -> str:
    """Whom a line is about, as it is written."""
    value, bits = entry.who.value, entry.who.bits
    if len(value) * 8 == MAC_BITS:
        return _dashed(value) if bits == MAC_BITS else f"{_dashed(value)}/{bits}"
    uuid = str(UUID(bytes=value)).upper()
    return uuid if bits == UUID_BITS else f"{uuid}/{bits}"


def _static(entries: Iterable[Static]) -> Iterator[tuple[str, object]]:
    return ((_dashed(entry.mac), entry.address) for entry in entries)


def _boot_files(entries: Iterable[BootFile]) -> Iterator[tuple[str, object]]:
    for entry in entries:
        architecture = "" if entry.architecture is None else name_of(entry.architecture)
        words = ("ipxe", architecture) if entry.ipxe else (architecture or "default",)
        yield ".".join(filter(None, words)), entry.file


def _patterns(entries: Iterable[Pattern]) -> Iterator[tuple[str, object]]:
    return ((entry.pattern, entry.value) for entry in entries)


_LISTS: Mapping[str, Callable[[Any], Iterator[tuple[str, object]]]] = {
    "mac": _access,
    "uuid": _access,
    "static_dhcp": _static,
    "bootfile": _boot_files,
    "buggy_clients": _access,
    "filters": _patterns,
    "templates": _patterns,
}


# values as text


@frozen
class _Hidden:
    """A plugin's option: only the plugin knows whether it is a secret."""

    text: str


def _dashed(mac: bytes) -> str:
    return mac_text(mac).replace(":", "-").upper()


def _text(value: object) -> str:
    if value is None or value == () or value == "":
        return NOTHING
    if isinstance(value, _Hidden):
        return "..."
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return printable("; ".join(_one(one) for one in value))
    return printable(_one(value))


def _one(value: object) -> str:
    if isinstance(value, tuple):
        return ":".join(map(str, value))
    text = str(value) if isinstance(value, Path) else f"{value:g}" if isinstance(value, float) else str(value)
    return shown(text) if is_url(text) else text
