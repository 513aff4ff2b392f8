"""
A page of the reference from a module's source::

    .. seams:: pybootd/interfaces.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from epytext import document

ROOT = Path(__file__).resolve().parents[2]


class Seams(Directive):
    """C{.. seams:: FILE}, below the project's root."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = ROOT / self.arguments[0]
        self.state.document.settings.env.note_dependency(str(path))
        lines = document(path.read_text()).splitlines()
        place = nodes.section()
        place.document = self.state.document
        self.state.nested_parse(StringList(lines, str(path)), 0, place, match_titles=True)
        return place.children


def setup(app: Any) -> dict[str, object]:
    """What Sphinx calls."""
    app.add_directive("seams", Seams)
    return {"parallel_read_safe": True}
