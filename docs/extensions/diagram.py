"""
Sequence diagrams as SVG, from lines of plain text::

    machine > server: DISCOVER
    server > machine: OFFER
    machine: waits

The first two are messages, the last one is a note.
"""

from __future__ import annotations

import re
from html import escape

ROW, TOP, CHARACTER = 34, 52, 7
MESSAGE = re.compile(r"(?P<left>[\w ]+?) > (?P<right>[\w ]+?): (?P<text>.+)")
NOTE = re.compile(r"(?P<left>[\w ]+?): (?P<text>.+)")


def drawing(title: str, parties: list[str], lines: list[str]) -> str:
    """
    The diagram, in the colours of the page that it stands in.

    @raise ValueError: a line is neither a message nor a note, or between others than the parties.
    """
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
