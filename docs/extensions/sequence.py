"""
Sequence diagrams from plain text::

    .. sequence:: A machine boots
       :between: machine, server

       machine > server: DISCOVER
       server > machine: OFFER
       machine: waits

In HTML it is a drawing that takes the page's own colours; elsewhere the text.
"""

from __future__ import annotations

from typing import Any, ClassVar

from diagram import drawing
from docutils import nodes
from docutils.parsers.rst import Directive, directives


class Sequence(Directive):
    """C{.. sequence:: TITLE}"""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"between": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        lines = [line for line in self.content if line.strip()]
        try:
            svg = drawing(self.arguments[0], [name.strip() for name in self.options["between"].split(",")], lines)
        except ValueError as error:
            raise self.error(str(error)) from None
        text = "\n".join([self.arguments[0], *(f"  {line}" for line in lines)])
        html, other = nodes.raw("", svg, format="html"), nodes.literal_block(text, text)
        app = self.state.document.settings.env.app
        return [html if app.builder.format == "html" else other]


def setup(app: Any) -> dict[str, object]:
    """What Sphinx calls."""
    app.add_directive("sequence", Sequence)
    return {"parallel_read_safe": True}
