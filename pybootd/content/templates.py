"""
C{[templates]}: files written at the moment they are asked for, for the machine that asks.

Jinja2 in its sandbox.  A template sees the variables of filters, empty where they are not
known, and the machine's C{var.NAME}s; it may include its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING

from twisted.logger import Logger

from pybootd.content.content import Content, from_bytes
from pybootd.content.patterns import compile_pattern
from pybootd.content.variables import NAMES, variables
from pybootd.errors import EnvironmentProblem, SourceFailed
from pybootd.machine import Machine
from pybootd.text import printable

if TYPE_CHECKING:
    import jinja2

    from pybootd.config import Pattern

log = Logger()


class Template:
    """
    One line of C{[templates]}.

    @ivar path: the template's file.
    @ivar setting: the line, as L{pybootd.config.origin.Origin} prints it.
    """

    def __init__(self, line: Pattern, directory: Path) -> None:
        """@param directory: where relative paths start, the daemon's."""
        file = directory / line.value
        self.path = str(file)
        self.setting = str(line.origin)
        self._pattern = compile_pattern(line.pattern)
        self._environment = _environment(file.parent)

    def serves(self, name: str) -> bool:
        """Whether it writes the file of that name."""
        return self._pattern.fullmatch(name) is not None

    def render(self, name: str, machine: Machine | None) -> Content:
        """@raise SourceFailed: the template is missing or wrong; the message names the line."""
        known = dict.fromkeys(NAMES, "") | dict(variables(name, machine))
        file = Path(self.path).name
        try:
            text = self._environment.get_template(file).render(known)
        except Exception as error:  # whatever the expressions in it raise
            line = _line(error, self.path)
            where = file if line is None else f"{file}, line {line}"
            what = f"{type(error).__name__}: {printable(str(error))}"
            log.error("Template {where} failed: {what} ({setting})", where=where, what=what, setting=self.setting)
            raise SourceFailed(f"The template {where} failed: {what}") from error
        return from_bytes(self.path, text.encode("utf-8", "surrogateescape"))


class Templates:
    """C{[templates]} as a whole."""

    def __init__(self, lines: Iterable[Pattern], directory: Path) -> None:
        """@raise EnvironmentProblem: Jinja2 is not installed."""
        self._templates = [Template(line, directory) for line in lines]

    def find(self, name: str) -> Template | None:
        """The template that writes this file, if one does; the first that matches."""
        return next((template for template in self._templates if template.serves(name)), None)


def _environment(directory: Path) -> jinja2.Environment:
    try:
        import jinja2
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise EnvironmentProblem("[templates] needs Jinja2; install pybootd[status] or Jinja2") from error
    return ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(directory),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # boot scripts, not web pages
        keep_trailing_newline=True,
    )


def _line(error: Exception, path: str) -> int | None:
    """The template's line in which an error was raised: Jinja2 makes it appear in the traceback."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == path]
    return lines[-1] if lines else getattr(error, "lineno", None)
