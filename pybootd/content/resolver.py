"""
From a client's name to content: the only way there is.

TFTP and HTTP ask here alike.  A name is normalised; a template of that name is rendered;
else the filters may send it elsewhere; else it is looked for below the root.  The root
and a filter's target may be a directory or an URL.  A filter's target may be anywhere, for it is
the administrator's; what a client said stays below the directory that the administrator
put before it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen
from twisted.logger import Logger

from pybootd.content.content import Content
from pybootd.content.local import LocalFiles
from pybootd.content.names import below, normalise
from pybootd.content.templates import Template, Templates
from pybootd.content.urls import is_url, joined, scheme, shown
from pybootd.errors import ContentError, Forbidden, NotFound, SourceFailed
from pybootd.interfaces import IFilenameFilter, IFileSource, Target
from pybootd.machine import Machine
from pybootd.text import printable

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

INDIRECT_LIMIT = 4096
"""Bytes read of a file that holds a name (C{[file]} in C{[filters]})."""

Note = Callable[[str, str, str], None]
"""Takes a rule, its outcome and the configuration line: one step of a trace."""


@frozen
class Step:
    """One rule that a name met, for C{pybootd explain}."""

    rule: str
    outcome: str
    setting: str = ""
    """The configuration line, where one decided."""


@frozen
class Local:
    """A name below a directory that it must not leave."""

    root: str
    name: str

    def __str__(self) -> str:
        return f"{self.root.rstrip('/')}/{self.name}"


@frozen
class Remote:
    """A finished URL."""

    url: str

    def __str__(self) -> str:
        return shown(self.url)


@frozen
class Named:
    """Whatever the first line of a local file names."""

    file: Local


Place = Local | Remote | Template | Named


def _unnoted(rule: str, outcome: str, setting: str) -> None:
    pass


def _unheard(_: object) -> None:
    """Who asks the next time hears of it."""


class Resolver:
    """
    Finds what names mean below one root.

    @ivar root: the root in full, for logs.
    """

    log = Logger()

    def __init__(
        self,
        root: str,
        directory: Path,
        files: LocalFiles,
        *,
        filters: Iterable[IFilenameFilter] = (),
        sources: Iterable[IFileSource] = (),
        templates: Templates | None = None,
        ignore_case: bool = False,
    ) -> None:
        """
        @param root: C{/…}, C{./…} or an URL prefix; empty: only what filters and templates name is served.
        @param directory: the daemon's, where C{./} starts.
        @param files: opens local files; shared by all resolvers.
        @param filters: asked in this order.
        @param sources: serve URLs, each the schemes that it names.
        @param ignore_case: find local files whose name differs in case only.
        """
        self._directory = str(directory.absolute())
        self._remote = is_url(root)
        self.root = root if self._remote or not root else self._absolute(self._directory, root)
        self._files = files
        self._filters = tuple(filters)
        self._sources = {scheme: source for source in sources for scheme in source.schemes}
        self._templates = templates
        self._ignore_case = ignore_case

    def resolve(self, name: bytes | str, machine: Machine | None) -> Content | Deferred[Content]:
        """
        Open what C{name} means for this machine.

        @param name: as the client wrote it (HTTP: with C{%}-forms decoded, once).
        @param machine: who asks, where that is known.
        @return: the content, whose body the caller closes; a local file takes a Deferred
            only where its disk has to be waited for.
        @raise NotFound: (or as a Failure) there is no such file for this client.
        @raise Forbidden: (or as a Failure) it is not for this machine.
        @raise SourceFailed: (or as a Failure) it cannot be had now.
        """
        text, place = self._served(name, machine)
        if isinstance(place, Named):
            named, data = place, self._ask_name(place)
            if not isinstance(data, bytes):
                return data.addCallback(lambda data: self._open(self._found(named, data)))
            place = self._found(named, data)
        return place.render(text, machine) if isinstance(place, Template) else self._open(place)

    def _open(self, place: Local | Remote) -> Content | Deferred[Content]:
        if isinstance(place, Local):
            return self._files.ask(place.root, place.name, self._ignore_case)
        return self._source(place.url).open(place.url)

    def url_of(self, name: bytes | str, machine: Machine | None) -> str | None:
        """
        The URL that C{name} means for this machine; nothing is fetched.

        @return: None where it is no remote file, or a disk has to be waited for to know.
        @raise ContentError: as L{resolve}.
        """
        _, place = self._served(name, machine)
        if isinstance(place, Named):
            data = self._ask_name(place)
            if not isinstance(data, bytes):
                data.addErrback(_unheard)
                return None
            place = self._found(place, data)
        return place.url if isinstance(place, Remote) else None

    def explain(self, name: bytes | str, machine: Machine | None) -> Sequence[Step]:
        """What L{resolve} would do, rule by rule; nothing is fetched."""
        steps: list[Step] = []

        def note(rule: str, outcome: str, setting: str) -> None:
            steps.append(Step(rule, printable(outcome), setting))

        try:
            text = normalise(name)
            note("name", text, "")
            place = self._place(text, machine, note)
            if isinstance(place, Named):
                file = place.file
                data = self._files.read(file.root, file.name, INDIRECT_LIMIT, self._ignore_case)
                place = self._found(place, data, note)
            if isinstance(place, Local):
                content = self._files.open(place.root, place.name, self._ignore_case)
                content.body.close()
                note("file", f"{content.source}, {content.size} bytes", "")
            elif isinstance(place, Remote):
                self._source(place.url)
                note("fetch", str(place), "")
            else:
                place.render(text, machine)
        except ContentError as error:
            note("answer", str(error), "")
        return steps

    def _served(self, name: bytes | str, machine: Machine | None) -> tuple[str, Place]:
        """The name in its plain form, and what it means for a machine that is let in."""
        if machine is not None and machine.refusal is not None:
            raise Forbidden(machine.refusal.reason, machine.refusal.setting)
        text = normalise(name)
        return text, self._place(text, machine, _unnoted)

    def _place(self, name: str, machine: Machine | None, note: Note) -> Place:
        template = None if self._templates is None else self._templates.find(name)
        if template is not None:
            note("[templates]", template.path, template.setting)
            return template
        for rewriter in self._filters:
            target = self._rewritten(rewriter, name, machine)
            if target is not None:
                note(rewriter.name, target.name, target.setting)
                return self._aim(target)
        note("root", self.root, "")
        if not self.root:
            raise NotFound("no root is set")
        return Remote(joined(self.root, name)) if self._remote else Local(self.root, name)

    def _rewritten(self, rewriter: IFilenameFilter, name: str, machine: Machine | None) -> Target | None:
        try:
            return rewriter.rewrite(name, machine)
        except ContentError:
            raise
        except Exception as error:
            self.log.failure("The filter {filter} failed on {name}", filter=rewriter.name, name=printable(name))
            raise SourceFailed("A filter of the server failed") from error

    def _aim(self, target: Target) -> Local | Remote | Named:
        """Where a filter's target is, contained as its base says."""
        if target.indirect:
            return Named(self._local(target.name, target.base))
        return self._aimed(target.name, target.base)

    def _aimed(self, name: str, base: str | None) -> Local | Remote:
        begins = name if base is None else base  # what a client said decides nothing about where
        if is_url(begins):
            return Remote(name if base is None else base + below(_rest(name, base)))
        if self._remote and not begins.startswith(("/", "./")):
            path = below(name) if base is None else base + below(_rest(name, base))
            return Remote(joined(self.root, path))
        return self._local(name, base)

    def _local(self, name: str, base: str | None) -> Local:
        """A path: relative to the root where that is a directory, else to the daemon's directory."""
        begins = name if base is None else base
        home = self._directory if self._remote or not self.root or begins.startswith("./") else self.root
        if base is None:
            return Local("/", self._absolute(home, name).lstrip("/"))
        return Local(self._absolute(home, base), below(_rest(name, base)))

    @staticmethod
    def _absolute(home: str, path: str) -> str:
        return os.path.normpath(os.path.join(home, path))  # noqa: PTH118 - text that need not be UTF-8

    def _ask_name(self, place: Named) -> bytes | Deferred[bytes]:
        return self._files.ask_read(place.file.root, place.file.name, INDIRECT_LIMIT, self._ignore_case)

    def _found(self, place: Named, data: bytes, note: Note = _unnoted) -> Local | Remote:
        """
        What the first line of a file names.

        @param data: how the file begins.
        """
        name = data.decode("utf-8", "surrogateescape").partition("\n")[0].strip()
        if not name:
            raise NotFound(f"{printable(str(place.file))} names no file")
        note("name in that file", name, "")
        return self._aimed(name, None)

    def _source(self, url: str) -> IFileSource:
        source = self._sources.get(scheme(url))
        if source is None:
            raise SourceFailed(f"The server cannot fetch {scheme(url)} URLs")
        return source


def _rest(name: str, base: str) -> str:
    if not name.startswith(base):
        raise NotFound("leads out of the directory that its filter names")
    return name[len(base) :]
