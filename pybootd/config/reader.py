"""
From the text of C{pybootd.ini} to a L{Config}: every mistake at once, each with its line and what would be right.

Pure: the text, the names of installed plugins and the daemon's directory are arguments.  What must fit together is
L{pybootd.config.coherence}'s; whether the files and networks exist that the configuration names, is L{pybootd.check}'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import attrs

from pybootd.config import coherence, words
from pybootd.config.ini import Document, Entry, Section, parse
from pybootd.config.origin import Origin, Problem
from pybootd.config.sections import (
    LISTS,
    SECTIONS,
    Access,
    BootFile,
    Config,
    HostConfig,
    MenuConfig,
    MenuItem,
    Pattern,
    Static,
    SubnetConfig,
    options,
)
from pybootd.content.patterns import Value
from pybootd.errors import ConfigError

_REPEATED = ("subnet", "host", "menu")
_INLINE_COMMENT = re.compile(r"\s[;#]")
_PASSWORD = re.compile(r"(?<=//)[^/@\s]*(?=@)")
_WRONG = object()
"""Stands for a value that could not be read."""


def read(
    data: bytes | str,
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

    @param data: the contents of the file; bytes are UTF-8.
    @param file: the name by which messages call it.
    @param directory: the daemon's directory, absolute: where C{./} starts.
    @param plugins: names of installed plugins that are not built in, whose sections are theirs.
    @param dhcp: whether DHCP is to run; C{tftp}, C{http} and C{debug} likewise.
    @raise ConfigError: with every mistake at once.
    """
    reading = _Reading(parse(data, file), directory or Path(), {name.lower() for name in plugins})
    config = reading.config(dhcp=dhcp, tftp=tftp, http=http, debug=debug)
    problems = [*reading.problems, *coherence.problems(config, reading.plugins)]
    if problems:
        raise ConfigError([str(one) for one in sorted(problems, key=lambda one: one.origin.line)])
    return attrs.evolve(config, warnings=tuple(map(str, coherence.warnings(config))))


class _Reading:
    """One reading of one document; collects problems as it goes."""

    def __init__(self, document: Document, directory: Path, plugins: Collection[str]) -> None:
        self.problems = list(document.problems)
        self.plugins = plugins
        self._document = document
        self._directory = directory
        self._origins: dict[tuple[str, str], Origin] = {}

    def config(self, *, dhcp: bool, tftp: bool, http: bool, debug: bool) -> Config:
        """Everything that could be read; what could not has its default here, and stands in C{problems}."""
        sections = self._sections()
        values: dict[str, Any] = {}
        for name, kind in SECTIONS.items():
            if name not in _REPEATED:
                values[name] = kind(**self._options(sections.pop(name, None), options(name)))
        for name in LISTS:
            values[name] = tuple(_LISTS[name](self, sections.pop(name, None)))
        values["subnets"] = tuple(self._subnets(sections))
        values["hosts"] = tuple(self._hosts(sections))
        values["menus"] = tuple(self._menus(sections))
        values["plugins"] = dict(self._plugins(sections))
        return Config(
            file=self._document.file,
            directory=self._directory,
            dhcp=dhcp,
            tftp=tftp,
            http_server=http or values["httpd"].enable,
            debug=debug,
            origins=self._origins,
            **self._settled(values),
        )

    def _settled(self, values: dict[str, Any]) -> dict[str, Any]:
        """What is said in one form that everybody can use."""
        bootpd, leases = values["bootpd"], values["leases"]
        if bootpd.pool_start and bootpd.pool_end and ("bootpd", "pool_count") not in self._origins:
            count = int(bootpd.pool_end) - int(bootpd.pool_start) + 1
            values["bootpd"] = attrs.evolve(bootpd, pool_count=max(count, 0))
        kind, _, path = leases.store.partition(":")
        if kind == "sqlite":
            values["leases"] = attrs.evolve(leases, store=f"sqlite:{self._directory / path}")
        for name in ("tftpd", "httpd"):
            root = values[name].root
            if root and "://" not in root:
                values[name] = attrs.evolve(values[name], root=str(self._directory / root))
        return values

    def _problem(self, origin: Origin, what: str, wrote: str | None = None) -> None:
        self.problems.append(Problem(origin, what, wrote if wrote is None else _PASSWORD.sub("...", wrote)))

    def _value(self, entry: Entry, parse: words.Parser, text: str | None = None) -> Any:
        """@return: the value, or C{_WRONG}."""
        try:
            value = parse(entry.text if text is None else text)
        except ValueError as error:
            self._problem(entry.origin, f"{error}{_hint(entry.text) if text is None else ''}", entry.text)
            return _WRONG
        return self._directory / value if isinstance(value, Path) else value

    # sections and their options

    def _sections(self) -> dict[str, Section]:
        found: dict[str, Section] = {}
        for section in self._document.sections:
            before = found.setdefault(section.name, section)
            if before is not section:
                self._problem(section.origin, f"the section stands at line {before.origin.line} already; join them")
            self._origins[section.name, ""] = before.origin
        return found

    def _options(
        self,
        section: Section | None,
        known: Mapping[str, attrs.Attribute[Any]],
        besides: Callable[[str], bool] = lambda name: False,
    ) -> dict[str, Any]:
        """
        The values of a section whose options have names of their own.

        @param besides: whether an option of this name is another one, which is read elsewhere.
        """
        if section is None:
            return {}
        spellings = {spelling: one for one in known.values() for spelling in (one.name, *one.metadata["aliases"])}
        values: dict[str, Any] = {}
        for entry in section.entries:
            name = entry.name.lower()
            if besides(name):
                continue
            if name not in spellings:
                self._problem(entry.origin, f"unknown option; {_where(name, spellings)}", entry.text)
                continue
            option = spellings[name]
            if self._once(entry, self._origins.setdefault((section.name, option.name), entry.origin)):
                values[option.name] = self._value(entry, option.metadata["parse"])
        return {name: value for name, value in values.items() if value is not _WRONG}

    def _origins_of(self, section: Section) -> dict[str, Origin]:
        names = [entry.name.lower() for entry in section.entries]
        return {name: self._origins[section.name, name] for name in names if (section.name, name) in self._origins}

    def _once(self, entry: Entry, first: Origin) -> bool:
        if first is not entry.origin:
            self._problem(entry.origin, f"stands at line {first.line} already; remove one", entry.text)
        return first is entry.origin

    # sections whose options are data

    def _pairs(
        self, section: Section | None, name: words.Parser, value: words.Parser
    ) -> Iterator[tuple[Entry, Any, Any]]:
        """The lines of which both sides can be read, each name once."""
        first: dict[Any, Origin] = {}
        for entry in section.entries if section else ():
            key, content = self._value(entry, name, entry.name), self._value(entry, value)
            if key is not _WRONG and self._once(entry, first.setdefault(key, entry.origin)) and content is not _WRONG:
                yield entry, key, content

    def _macs(self, section: Section | None) -> Iterator[Access]:
        for entry, who, allowed in self._pairs(section, words.masked_mac, words.boolean):
            yield Access(who, allowed, entry.origin)

    def _uuids(self, section: Section | None) -> Iterator[Access]:
        for entry, who, allowed in self._pairs(section, words.masked_uuid, words.boolean):
            yield Access(who, allowed, entry.origin)

    def _static(self, section: Section | None) -> Iterator[Static]:
        for entry, mac, address in self._pairs(section, words.mac, words.unicast):
            yield Static(mac, address, entry.origin)

    def _boot_files(self, section: Section | None) -> Iterator[BootFile]:
        for entry, (ipxe, architecture), file in self._pairs(section, words.architecture, words.filled):
            yield BootFile(architecture, ipxe, file, entry.origin)

    def _filters(self, section: Section | None) -> Iterator[Pattern]:
        for entry, pattern, value in self._pairs(section, words.pattern, _filter_value):
            yield Pattern(pattern, value, entry.origin)

    def _templates(self, section: Section | None) -> Iterator[Pattern]:
        for entry, pattern, path in self._pairs(section, words.pattern, words.path):
            yield Pattern(pattern, str(path), entry.origin)

    # sections with an argument

    def _repeated(
        self, sections: dict[str, Section], word: str, parse: Callable[[str], Any]
    ) -> Iterator[tuple[Section, Any]]:
        """Takes the sections C{[word ARGUMENT]} out of all sections, each argument once."""
        first: dict[Any, Origin] = {}
        for name in [name for name in sections if name.split(" ")[0] == word]:
            section = sections.pop(name)
            try:
                argument = parse(name.removeprefix(word).strip())
            except ValueError as error:
                self._problem(section.origin, str(error))
                continue
            before = first.setdefault(argument, section.origin)
            if before is section.origin:
                yield section, argument
            else:
                self._problem(section.origin, f"the section stands at line {before.line} already; join them")

    def _subnets(self, sections: dict[str, Section]) -> Iterator[SubnetConfig]:
        for section, network in self._repeated(sections, "subnet", words.network):
            values = self._options(section, options("subnet"))
            yield SubnetConfig(network=network, origin=section.origin, origins=self._origins_of(section), **values)

    def _hosts(self, sections: dict[str, Section]) -> Iterator[HostConfig]:
        for section, mac in self._repeated(sections, "host", words.mac):
            values = self._options(section, options("host"), besides=lambda name: name.startswith("var."))
            yield HostConfig(
                mac=mac,
                origin=section.origin,
                variables=dict(self._variables(section)),
                origins=self._origins_of(section),
                **values,
            )

    def _variables(self, section: Section) -> Iterator[tuple[str, str]]:
        entries = [entry for entry in section.entries if entry.name.lower().startswith("var.")]
        named = Section(section.name, section.origin, entries)
        for entry, name, text in self._pairs(named, words.variable, words.text):
            self._origins[section.name, f"var.{name}"] = entry.origin
            yield name, text

    def _menus(self, sections: dict[str, Section]) -> Iterator[MenuConfig]:
        known = options("menu")
        for section, architecture in self._repeated(sections, "menu", words.menu):
            values = self._options(section, known, besides=lambda name: name not in known)
            entries = [entry for entry in section.entries if entry.name.lower() not in known]
            named = Section(section.name, section.origin, entries)
            items = tuple(
                MenuItem(text, file, entry.origin)
                for entry, text, file in self._pairs(named, words.screen, words.filled)
            )
            yield MenuConfig(architecture=architecture, origin=section.origin, items=items, **values)

    # sections of plugins

    def _plugins(self, sections: dict[str, Section]) -> Iterator[tuple[str, Mapping[str, str]]]:
        """What is left belongs to a plugin, or is a mistake."""
        for name, section in sections.items():
            if name in self.plugins:
                pairs = list(self._pairs(section, str.lower, str))
                self._origins |= {(name, option): entry.origin for entry, option, _ in pairs}
                yield name, {option: text for _, option, text in pairs}
            else:
                self._problem(section.origin, f"unknown section; {coherence.nearest(name, self._known())}")

    def _known(self) -> Iterable[str]:
        return [
            *(name for name in SECTIONS if name not in _REPEATED),
            "subnet A.B.C.D/N",
            "host MAC",
            "menu",
            *LISTS,
            *self.plugins,
        ]


_LISTS: Mapping[str, Callable[[_Reading, Section | None], Iterable[Any]]] = {
    "mac": _Reading._macs,
    "uuid": _Reading._uuids,
    "static_dhcp": _Reading._static,
    "bootfile": _Reading._boot_files,
    "buggy_clients": _Reading._macs,
    "filters": _Reading._filters,
    "templates": _Reading._templates,
}


def _filter_value(text: str) -> str:
    Value.parse(words.text(text))
    return text


def _hint(text: str) -> str:
    """What may be behind a value that cannot be read."""
    if "\n" in text:
        return "; the next line is indented and so counts as a part of it"
    return "; a comment needs a line of its own" if _INLINE_COMMENT.search(text) else ""


def _where(name: str, known: Iterable[str]) -> str:
    """What an unknown option may have meant."""
    homes = [f"[{section}]" for section in SECTIONS if name in options(section)]
    close = get_close_matches(name, known, n=1)
    if homes and not close:
        return f"it belongs to {' or '.join(homes)}"
    return coherence.nearest(name, known)
