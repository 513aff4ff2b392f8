"""
C{[templates]}: files written at the moment they are asked for, for the machine that asks.

Jinja2 in its sandbox.  A template sees the variables of filters, empty where they are not
known, and the machine's C{var.NAME}s; it may include its neighbours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen
from twisted.logger import Logger

from pybootd.content.content import Content, from_bytes
from pybootd.content.variables import NAMES, variables
from pybootd.errors import EnvironmentProblem, SourceFailed
from pybootd.machine import Machine
from pybootd.text import printable

if TYPE_CHECKING:
    import jinja2

log = Logger()


@frozen
class TemplateRule:
    """One line of C{[templates]}."""

    pattern: re.Pattern[str]
    """What names it serves; see L{pybootd.content.filters.compile_pattern}."""
    path: Path
    """The template file, absolute."""
    setting: str = ""
    """The line, as L{pybootd.origin.Origin} prints it."""


@frozen
class Template:
    """A template and what it is to be filled with."""

    path: str
    setting: str
    _environment: jinja2.Environment
    _variables: Mapping[str, str]

    def render(self) -> Content:
        """@raise SourceFailed: the template is missing or wrong; the message names the line."""
        import jinja2

        file = Path(self.path).name
        try:
            text = self._environment.get_template(file).render(self._variables)
        except Exception as error:  # a template can raise whatever its expressions do
            line = getattr(error, "lineno", None) if isinstance(error, jinja2.TemplateSyntaxError) else _line(error)
            where = file if line is None else f"{file}, line {line}"
            what = "no such file" if isinstance(error, jinja2.TemplateNotFound) else printable(str(error))
            log.error("Template {where} failed: {what} ({setting})", where=where, what=what, setting=self.setting)
            raise SourceFailed(f"The template {where} failed: {what}") from error
        return from_bytes(self.path, text.encode("utf-8", "surrogateescape"))


class Templates:
    """C{[templates]} as a whole."""

    def __init__(self, rules: Iterable[TemplateRule]) -> None:
        """@raise EnvironmentProblem: Jinja2 is not installed."""
        self._rules = [(rule, _environment(rule.path.parent)) for rule in rules]

    def find(self, name: str, machine: Machine | None) -> Template | None:
        """The template that writes this file, if one does; the first that matches."""
        for rule, environment in self._rules:
            if rule.pattern.fullmatch(name):
                known = dict.fromkeys(NAMES, "") | dict(variables(name, machine))
                return Template(str(rule.path), rule.setting, environment, known)
        return None


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
        cache_size=50,
    )


def _line(error: BaseException) -> int | None:
    """The template's line in which an error was raised; Jinja2 rewrites tracebacks to say so."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if (
            trace.tb_frame.f_code.co_filename.endswith(("<template>",))
            or "jinja" not in trace.tb_frame.f_code.co_filename
        ):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
