"""
SIGHUP: the configuration is read again, and takes effect at once and as a whole, or not at all.

Whatever is wrong with it, and whatever needs a restart, is found first, said, and leaves what was in force in force.
What changes is said before it changes: line by line, and machine by machine.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from twisted.logger import Logger

from pybootd.check import Finding, Kind, check
from pybootd.config import Config, LoggerConfig
from pybootd.config.changes import Change, changes
from pybootd.dhcp.preview import Difference
from pybootd.errors import ConfigError, PybootdError
from pybootd.net.interfaces import interfaces, name_servers

LINES = 50
"""Lines about one thing; how many more there are is said."""

Turn = Callable[[], None]


class Server(Protocol):
    """What is turned to another configuration (L{pybootd.service.BootServer})."""

    @property
    def config(self) -> Config:
        """The configuration in force."""

    def prepare(self, config: Config) -> tuple[Turn, Sequence[Difference]]:
        """@raise PybootdError: this host cannot do it."""


class Observer(Protocol):
    """Where lines go (L{pybootd.logs.Lines})."""

    def prepare(self, config: LoggerConfig) -> Turn:
        """@raise PybootdError: lines cannot go there."""


def _look(config: Config) -> Sequence[Finding]:
    return check(config, interfaces(), name_servers())


class Reload:
    """Called when the configuration is to be read again."""

    log = Logger()

    def __init__(
        self,
        server: Server,
        read: Callable[[], Config],
        observer: Observer | None = None,
        look: Callable[[Config], Sequence[Finding]] = _look,
    ) -> None:
        """
        @param read: reads the file; raises L{PybootdError}.
        @param observer: None: the lines go where somebody else says, such as twistd's own options.
        @param look: looks at everything that a configuration would use.
        """
        self._server = server
        self._read = read
        self._observer = observer
        self._look = look

    def __call__(self) -> bool:
        """Whether the configuration in force is that of the file now.  Never raises."""
        try:
            return self._reload()
        except PybootdError as error:
            self._refused(error.problems if isinstance(error, ConfigError) else [str(error)])
        except Exception:
            self.log.failure("reload: the configuration in force stays")
        return False

    def started(self) -> None:
        """Say what is doubtful about the configuration that the server began with: a boot file that is not there..."""
        for finding in self._findings(self._server.config):
            if finding.kind is Kind.WARNING:
                self.log.warn("{what}", what=finding.text)

    def _reload(self) -> bool:
        config = self._read()
        found = changes(self._server.config, config)
        problems = [f"{change}: needs a restart" for change in found if change.restart]
        findings = self._findings(config)
        problems += [finding.text for finding in findings if finding.kind is Kind.PROBLEM]
        if problems:
            self._refused(problems)
            return False
        turns = [] if self._observer is None else [self._observer.prepare(config.logger)]
        turn, answers = self._server.prepare(config)
        self._tell(found, findings, answers)
        for step in (turn, *turns):
            step()
        self.log.info("reload: {file} is in force", file=config.file)
        return True

    def _findings(self, config: Config) -> Sequence[Finding]:
        try:
            return self._look(config)
        except (OSError, PybootdError) as error:
            # without its first privileges the server may not even see what it needed them for
            return [Finding(Kind.WARNING, f"not everything could be checked: {error}")]

    def _refused(self, problems: Sequence[str]) -> None:
        self._lines(problems, self.log.error)
        self.log.error("reload: the configuration in force stays; errors: {count}", count=len(problems))

    def _tell(self, found: Sequence[Change], findings: Iterable[Finding], answers: Sequence[Difference]) -> None:
        self._lines([finding.text for finding in findings if finding.kind is Kind.WARNING], self.log.warn)
        self._lines([str(change) for change in found] or ["the configuration says what it said before"], self.log.info)
        self._lines([str(answer) for answer in answers], self.log.info)
        if found:
            self.log.info(
                "reload: {lines} changed; other answers for {machines} of the machines seen lately",
                lines=f"{len(found)} line{'s' if len(found) > 1 else ''}",
                machines=len(answers) or "none",
            )

    def _lines(self, texts: Sequence[str], write: Callable[..., None]) -> None:
        for text in texts[:LINES]:
            write("reload: {what}", what=text)
        if len(texts) > LINES:
            write("reload: ... and {count} more", count=len(texts) - LINES)


def on_signal(reload: Callable[[], object], reactor: Any) -> None:
    """SIGHUP reloads."""
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(reload))
