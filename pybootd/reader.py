"""
From the text of C{pybootd.ini} to a L{Config}: every mistake at once, each with its line and what would be right.

Pure: the text, the names of installed plugins and the directory are arguments.  Whether the files and networks that it
names exist is L{pybootd.check}'s question.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

import attrs

from pybootd import words
from pybootd.config import (
    Access,
    BootFile,
    BootpdConfig,
    CacheConfig,
    Config,
    HostConfig,
    HttpAccessConfig,
    HttpdConfig,
    LeasesConfig,
    LimitsConfig,
    LoggerConfig,
    Pattern,
    Static,
    StatusConfig,
    SubnetConfig,
    TftpdConfig,
)
from pybootd.dhcp.architectures import named
from pybootd.errors import ConfigError
from pybootd.ini import Document, Entry, Section, parse
from pybootd.origin import Origin

T = TypeVar("T")

TYPED: dict[str, type[Any]] = {
    "logger": LoggerConfig,
    "bootpd": BootpdConfig,
    "leases": LeasesConfig,
    "http": HttpAccessConfig,
    "tftpd": TftpdConfig,
    "httpd": HttpdConfig,
    "cache": CacheConfig,
    "limits": LimitsConfig,
    "status": StatusConfig,
}
LISTS = ("mac", "uuid", "static_dhcp", "bootfile", "buggy_clients", "filters", "templates")
BUILT_IN_ACCESS = ("mac", "uuid", "http")

NOT_YET: dict[tuple[str, str], str] = {
    ("status", "enable"): "the status site",
}
"""Options of the contract whose service is not there yet, when they are switched on; never ignored, always refused."""


def read(
    text: str,
    file: str = "pybootd.ini",
    *,
    directory: Path | None = None,
    plugins: Collection[str] = (),
    dhcp: bool = True,
    tftp: bool = True,
    http: bool = False,
    debug: bool = False,
) -> Config:
    """
    Read a configuration.

    @param file: the name by which messages call it.
    @param directory: the daemon's directory, where C{./} starts.
    @param plugins: names of installed access backends and notifiers, whose sections are theirs.
    @param dhcp: whether DHCP is to run; C{tftp}, C{http} and C{debug} likewise.
    @raise ConfigError: with every mistake at once.
    """
    return _Reading(parse(text, file), directory or Path(), plugins).config(dhcp, tftp, http, debug)


class _Reading:
    """One reading of one document; collects problems as it goes."""

    def __init__(self, document: Document, directory: Path, plugins: Collection[str]) -> None:
        self.document = document
        self.directory = directory
        self.plugins = plugins
        self.problems: list[tuple[int, str]] = []
        self.warnings: list[str] = []
        self.origins: dict[tuple[str, str], Origin] = {}

    def config(self, dhcp: bool, tftp: bool, http: bool, debug: bool) -> Config:
        """Everything, or ConfigError."""
        sections = self._sections()
        values: dict[str, Any] = {}
        for name, kind in TYPED.items():
            values[name] = self._rooted(kind(**self._options(sections.pop(name, None), kind)))
        for name, entries in ((name, sections.pop(name, None)) for name in LISTS):
            values[name] = self._list(name, entries)
        values["subnets"] = tuple(self._subnets(sections))
        values["hosts"] = tuple(self._hosts(sections))
        values["plugins"] = self._plugin_sections(sections, values["bootpd"].access)
        config = Config(
            self.document.file, self.directory, dhcp, tftp, http or values["httpd"].enable, debug,
            origins=self.origins, **values,
        )  # fmt: skip
        self._check(config)
        problems = self.document.problems + [text for _, text in sorted(self.problems, key=lambda one: one[0])]
        if problems:
            raise ConfigError(problems)
        return attrs.evolve(config, warnings=tuple(self.warnings))

    def _rooted(self, section: T) -> T:
        """The section with its root below the daemon's directory, unless it is absolute or a URL."""
        root = getattr(section, "root", "")
        if not root or "://" in root:
            return section
        return attrs.evolve(section, root=str(self.directory / root))  # type: ignore[misc]

    # what stands in the file

    def _problem(self, origin: Origin, what: str, wrote: str | None = None) -> None:
        value = "" if wrote is None else f" = {wrote}"
        self.problems.append((origin.line, f"{origin}{value}: {what}"))

    def _sections(self) -> dict[str, Section]:
        found: dict[str, Section] = {}
        for section in self.document:
            name = " ".join(section.name.lower().split())
            if name in found:
                self._problem(
                    section.origin, f"the section stands at line {found[name].origin.line} already; merge them"
                )
            else:
                found[name] = section
        return found

    def _unique(self, entries: Iterable[Entry], key: Callable[[Entry], Any]) -> list[Entry]:
        seen: dict[Any, Entry] = {}
        for entry in entries:
            before = seen.setdefault(key(entry), entry)
            if before is not entry:
                self._problem(entry.origin, f"stands at line {before.origin.line} already; remove one", entry.text)
        return list(seen.values())

    def _value(self, entry: Entry, convert: Callable[[str], T], text: str | None = None) -> T | None:
        try:
            value = convert(entry.text if text is None else text)
        except ValueError as error:
            self._problem(entry.origin, str(error), entry.text)
            return None
        return self.directory / value if isinstance(value, Path) else value

    def _options(self, section: Section | None, kind: type[Any], prefixes: tuple[str, ...] = ()) -> dict[str, Any]:
        """The options of a typed section."""
        if section is None:
            return {}
        fields = {field.name: field for field in attrs.fields(kind) if "parse" in field.metadata}
        spellings = {alias: name for name, field in fields.items() for alias in field.metadata["aliases"]}
        spellings |= {name: name for name in fields}
        values: dict[str, Any] = {}
        for entry in self._unique(section.entries, lambda entry: spellings.get(entry.name.lower(), entry.name.lower())):
            name = spellings.get(entry.name.lower())
            if name is None:
                if not entry.name.lower().startswith(prefixes or ("\0",)):
                    self._unknown(entry.origin, "option", entry.name, spellings)
                continue
            self.origins[section.name.lower(), name] = entry.origin
            value = self._value(entry, fields[name].metadata["parse"])
            if value is not None or entry.text.lower() == "auto":
                values[name] = value
        return values

    def _unknown(self, origin: Origin, what: str, name: str, known: Iterable[str]) -> None:
        near = get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
        self._problem(origin, f"unknown {what}" + (f"; did you mean {near[0]}?" if near else ""))

    # sections whose options are data

    def _list(self, name: str, section: Section | None) -> tuple[Any, ...]:
        if section is None:
            return ()
        return tuple(getattr(self, f"_{name}")(section))

    def _accesses(self, section: Section, convert: Callable[[str], words.Masked]) -> Iterable[Access]:
        entries = []
        for entry in section.entries:
            who = self._value(entry, convert, entry.name)
            if who is not None:
                entries.append((entry, who))
        for entry, who in [(e, w) for e, w in entries if self._first(e, w, entries)]:
            allowed = self._value(entry, words.boolean)
            if allowed is not None:
                yield Access(who, allowed, entry.origin)

    def _first(self, entry: Entry, key: Any, entries: Iterable[tuple[Entry, Any]]) -> bool:
        before = next(other for other, its in entries if its == key)
        if before is not entry:
            self._problem(entry.origin, f"stands at line {before.origin.line} already; remove one", entry.text)
        return before is entry

    def _mac(self, section: Section) -> Iterable[Access]:
        return self._accesses(section, words.masked_mac)

    _buggy_clients = _mac

    def _uuid(self, section: Section) -> Iterable[Access]:
        return self._accesses(section, words.masked_uuid)

    def _static_dhcp(self, section: Section) -> Iterable[Static]:
        taken: dict[IPv4Address, Origin] = {}
        for entry in self._unique(section.entries, lambda entry: entry.name.upper().replace(":", "-")):
            mac = self._value(entry, words.mac, entry.name)
            address = self._value(entry, words.address)
            if mac is None or address is None:
                continue
            before = taken.setdefault(address, entry.origin)
            if before is not entry.origin:
                self._problem(entry.origin, f"line {before.line} gives that address to another machine", entry.text)
            yield Static(mac, address, entry.origin)

    def _bootfile(self, section: Section) -> Iterable[BootFile]:
        def key(word: str) -> tuple[bool, int | None]:
            word = word.lower()
            if word == "default":
                return False, None
            ipxe, _, rest = word.partition(".") if word.startswith("ipxe") else ("", "", word)
            if ipxe == "ipxe" and not rest:
                return True, None
            return bool(ipxe), named(rest)

        found: list[tuple[Entry, tuple[bool, int | None]]] = []
        for entry in section.entries:
            which = self._value(entry, key, entry.name)
            if which is not None:
                found.append((entry, which))
        for entry, which in found:
            if self._first(entry, which, found):
                if not entry.text:
                    self._problem(entry.origin, "no file; write a name below the root, or an URL", "")
                yield BootFile(which[1], which[0], entry.text, entry.origin)

    def _filters(self, section: Section) -> Iterable[Pattern]:
        for entry in self._unique(section.entries, lambda entry: entry.name):
            if not entry.text:
                self._problem(entry.origin, "no target; write a file's name or an URL", "")
            yield Pattern(entry.name.removeprefix("./"), entry.text, entry.origin)

    _templates = _filters

    def _subnets(self, sections: dict[str, Section]) -> Iterable[SubnetConfig]:
        for name in [name for name in sections if name.startswith("subnet ")]:
            section = sections.pop(name)
            try:
                network = words.network(name.split(None, 1)[1])
            except ValueError as error:
                self._problem(section.origin, str(error))
                continue
            values = self._options(section, SubnetConfig)
            origins = {entry.name.lower(): entry.origin for entry in section.entries}
            yield SubnetConfig(network=network, origin=section.origin, origins=origins, **values)

    def _hosts(self, sections: dict[str, Section]) -> Iterable[HostConfig]:
        seen: dict[bytes, Origin] = {}
        for name in [name for name in sections if name.startswith("host ")]:
            section = sections.pop(name)
            try:
                mac = words.mac(name.split(None, 1)[1])
            except ValueError as error:
                self._problem(section.origin, str(error))
                continue
            before = seen.setdefault(mac, section.origin)
            if before is not section.origin:
                self._problem(section.origin, f"the machine has a section at line {before.line} already")
            values = self._options(section, HostConfig, prefixes=("var.",))
            origins = {entry.name.lower(): entry.origin for entry in section.entries}
            variables = {
                entry.name[4:].lower(): entry.text for entry in section.entries if entry.name.lower().startswith("var.")
            }
            yield HostConfig(mac=mac, origin=section.origin, variables=variables, origins=origins, **values)

    def _plugin_sections(
        self, sections: dict[str, Section], access: tuple[str, ...]
    ) -> Mapping[str, Mapping[str, str]]:
        """What is left belongs to a plugin, or is a mistake."""
        found = {}
        for name, section in sections.items():
            if name in self.plugins or name in access:
                found[name] = {
                    entry.name: entry.text for entry in self._unique(section.entries, lambda e: e.name.lower())
                }
            else:
                self._unknown(section.origin, "section", name, [*TYPED, *LISTS, "subnet", "host", *self.plugins])
        return found

    # what must fit together

    def _check(self, config: Config) -> None:
        self._check_access(config)
        self._check_pool(config)
        self._check_files(config)
        for (section, name), service in NOT_YET.items():
            if getattr(getattr(config, section), name):
                self._problem(config.origin(section, name), f"{service} is not available yet; remove the line")

    def _check_access(self, config: Config) -> None:
        origin = config.origin("bootpd", "access")
        present = {" ".join(section.name.lower().split()) for section in self.document}
        for name in config.bootpd.access:
            if name not in BUILT_IN_ACCESS and name not in self.plugins:
                near = get_close_matches(name, [*BUILT_IN_ACCESS, *self.plugins], n=1)
                self._problem(
                    origin, f"no access backend {name}" + (f"; did you mean {near[0]}?" if near else ""), name
                )
            elif name not in present:
                self._problem(origin, f"there is no section [{name}]; add it, or nobody could boot", name)
        if "http" in config.bootpd.access and not config.http.location:
            self._problem(origin, "[http] has no location; write e.g. location = http://boot.example.org", "http")

    def _check_pool(self, config: Config) -> None:
        bootpd = config.bootpd
        if config.dhcp and bootpd.mode == "server" and ("bootpd", "pool_start") not in self.origins:
            at = next(
                (s.origin for s in self.document if s.name.lower() == "bootpd"), Origin(self.document.file, 1, "bootpd")
            )
            self._problem(
                at, "pool_start is missing: the first address to give away; write e.g. pool_start = 192.168.1.100"
            )
        if bootpd.pool_end is not None and bootpd.pool_start is not None and bootpd.pool_end < bootpd.pool_start:
            self._problem(config.origin("bootpd", "pool_end"), "lies before pool_start", str(bootpd.pool_end))
        ranges = [(config.origin("bootpd", "pool_start"), *span) for span in [pool(bootpd)] if span]
        for subnet in config.subnets:
            span = pool(subnet)
            if span:
                origin = subnet.origins["pool_start"]
                if IPv4Address(span[0]) not in subnet.network or IPv4Address(span[1]) not in subnet.network:
                    self._problem(origin, f"the pool leaves the network {subnet.network}", str(subnet.pool_start))
                ranges.append((origin, *span))
        for i, (origin, first, last) in enumerate(ranges):
            for other, low, high in ranges[:i]:
                if first <= high and low <= last:
                    self._problem(origin, f"the pool overlaps the one of line {other.line}")
        static = {entry.mac: entry for entry in config.static_dhcp}
        for host in config.hosts:
            entry = static.get(host.mac)
            if entry and host.address and host.address != entry.address:
                self._problem(
                    host.origins["address"], f"line {entry.origin.line} says {entry.address}", str(host.address)
                )

    def _check_files(self, config: Config) -> None:
        if (config.httpd.tls_certificate is None) != (config.httpd.tls_key is None):
            name = "tls_key" if config.httpd.tls_key else "tls_certificate"
            self._problem(config.origin("httpd", name), "tls_certificate and tls_key belong together; write both")
        if config.logger.type == "file" and config.logger.file is None:
            self._problem(config.origin("logger", "type"), "needs file = PATH beside it", "file")
        if config.tftp and not config.tftpd.root:
            self.warnings.append(
                f"{self.document.file}: [tftpd] root is not set: TFTP serves nothing but what [filters] name"
            )


def pool(section: BootpdConfig | SubnetConfig) -> tuple[int, int] | None:
    """The first and last address of a section's pool, as integers; None where it has none."""
    if section.pool_start is None:
        return None
    end = getattr(section, "pool_end", None)
    count = int(end) - int(section.pool_start) + 1 if end is not None else section.pool_count
    return (int(section.pool_start), int(section.pool_start) + count - 1) if count > 0 else None
