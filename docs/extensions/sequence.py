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

import re
from html import escape
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives

ROW, TOP, CHARACTER = 34, 52, 7
MESSAGE = re.compile(r"(?P<left>[\w ]+?) > (?P<right>[\w ]+?): (?P<text>.+)")
NOTE = re.compile(r"(?P<left>[\w ]+?): (?P<text>.+)")


def drawing(title: str, parties: list[str], lines: list[str]) -> str:
    """The diagram as SVG."""
    texts = [found["text"] for found in map(MESSAGE.fullmatch, lines) if found]
    column = CHARACTER * max(map(len, texts), default=0) + 30
    place = {name: 110 + column * number for number, name in enumerate(parties)}
    width, height = 220 + column * (len(parties) - 1), TOP + ROW * len(lines) + 16
    parts = [
        f'<svg class="sequence" role="img" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'style="max-width:{width}px;width:100%" font-family="sans-serif" font-size="13" fill="currentColor" '
        f'stroke="none"><title>{escape(title)}</title>'
    ]
    for name, x in place.items():
        parts.append(f'<path d="M{x} {TOP - 20}V{height}" stroke="currentColor" stroke-opacity=".35" fill="none"/>')
        parts.append(f'<text x="{x}" y="20" text-anchor="middle" font-weight="bold">{escape(name)}</text>')
    for number, line in enumerate(lines):
        parts += _row(line, TOP + ROW * number + 14, place)
    return "\n".join([*parts, "</svg>"])


def _row(line: str, y: int, place: dict[str, int]) -> list[str]:
    found = MESSAGE.fullmatch(line)
    if found is None:
        found = NOTE.fullmatch(line)
        if found is None or found["left"] not in place:
            raise ValueError(f"neither a message nor a note: {line}")
        x, text = place[found["left"]], found["text"]
        half = len(text) * CHARACTER // 2 + 8
        x = max(x, half)
        return [
            f'<rect x="{x - half}" y="{y - 16}" width="{2 * half}" height="22" rx="4" fill="none" '
            'stroke="currentColor" stroke-opacity=".5" stroke-dasharray="3 3"/>',
            f'<text x="{x}" y="{y}" text-anchor="middle">{escape(text)}</text>',
        ]
    if not {found["left"], found["right"]} <= set(place):
        raise ValueError(f"between whom? {line}")
    start, end = place[found["left"]], place[found["right"]]
    tip = end - 7 if end > start else end + 7
    return [
        f'<path d="M{start} {y}H{tip}" stroke="currentColor" fill="none"/>',
        f'<path d="M{end} {y}L{tip} {y - 4}V{y + 4}Z"/>',
        f'<text x="{(start + end) // 2}" y="{y - 6}" text-anchor="middle">{escape(found["text"])}</text>',
    ]


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
