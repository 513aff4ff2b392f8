"""
Machines in a terminal: the rows of C{/api/events?view=machines} as a table that stands still, or as lines of news.

Pure: rows in, text out.  What another server sends is made printable here too.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from textwrap import wrap
from typing import Any

from attrs import define, field

from pybootd.text import printable

MACHINES = 10_000
"""That are kept; the one unheard for longest makes room."""

FILES = 64
"""Transfers of one machine whose end was told."""

BAR = 10
"""Characters of a progress bar."""

INDENT = 4
"""Of what stands below a row."""

WANTED = (0, 90, 0, 120, 0)
"""How wide the terminal has to be for each column: hardware address, name, address, kind, stage."""

STEPS = ("asked", "offered", "leased", "running")
"""Stages that are told by themselves; the others are files."""

PLAIN, RED, GREEN, YELLOW, FAINT = "", "31", "32", "33", "2"
COLOURS = {"stopped": RED, "running": GREEN, "booting": YELLOW, "quiet": FAINT}
"""Of a machine's state."""

Row = Mapping[str, Any]


def size(count: float) -> str:
    """Bytes for people."""
    if count < 10_000:
        return f"{count:.0f} B"
    return f"{count / 1e3:.0f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    return printable(str(value)) if value not in (None, "") else ""


def _number(row: Row, name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _rows(row: Row, name: str) -> list[Row]:
    value = row.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


# the table


class Board:
    """All machines; the one that was heard of last is on top."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, Row] = OrderedDict()

    def update(self, rows: Iterable[Row]) -> None:
        """These machines changed; the latest is first where several come at once."""
        for row in sorted(rows, key=lambda row: _number(row, "last_seen")):
            name = _text(row, "id")
            self._rows[name] = row
            self._rows.move_to_end(name)
            if len(self._rows) > MACHINES:
                self._rows.popitem(last=False)

    def lines(self, width: int, height: int, *, colour: bool = True) -> list[str]:
        """What fits into the terminal: a line about all of them, then a row for each machine."""
        states = [_text(row, "state") for row in self._rows.values()]
        counts = ", ".join(f"{states.count(state)} {state}" for state in COLOURS if state in states)
        head = f"{len(states)} machine{'s' if len(states) != 1 else ''}" + (f": {counts}" if counts else "")
        room = max(0, height - 1)
        shown = list(reversed(self._rows.values()))[:room]
        spare = max(room - len(shown), room // 3)
        lines = []
        for row in shown:
            reason = _reason(row, width)
            spare -= len(reason)
            if spare < 0:
                reason = []  # what begins in the row has to do
            cells = _cells(row, width, "" if reason else None)
            lines += [_painted(row, text, colour) for text in (cells, *reason)]
        return [head[:width], *lines[:room]]


def _painted(row: Row, text: str, colour: bool) -> str:
    code = COLOURS.get(_text(row, "state"), PLAIN)
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code else text


def _reason(row: Row, width: int) -> list[str]:
    """Why it does not boot, in lines of their own below its row; none where it fits into the row."""
    what = _matter(row)
    if not what or width <= 2 * INDENT or _cells(row, width).endswith(what):
        return []
    return [f"{'':{INDENT}}{line}" for line in wrap(what, width - INDENT)]


def _cells(row: Row, width: int, what: str | None = None) -> str:
    """
    One machine: who, where, what it is, how far it has come, what it does or why it does not.

    @param what: the last of these, where it is not the usual.
    """
    kind = " ".join(filter(None, (_text(row, "firmware"), _text(row, "architecture"))))
    if what is None:
        what = _matter(row) or next((_transferring(one) for one in reversed(_rows(row, "transfers"))), "")
    who = _text(row, "name") or _text(row, "vendor")
    state = _text(row, "state")
    stage = "system up" if state == "running" else _text(row, "stage")
    every = ((_text(row, "id"), 17), (who, 12), (_text(row, "address"), 15), (kind, 18), (stage, 9))
    cells = [one for one, wanted in zip(every, WANTED, strict=True) if width >= wanted]
    return "  ".join([*(f"{text:{room}.{room}}" for text, room in cells), what]).rstrip()[:width]


def _matter(row: Row) -> str:
    found = row.get("diagnosis")
    if not isinstance(found, dict):
        return ""
    setting = _text(found, "setting")
    return _text(found, "sentence") + (f" ({setting})" if setting else "")


def _transferring(one: Row) -> str:
    name, sent, whole = _text(one, "name"), _number(one, "sent"), _number(one, "size")
    if one.get("state") != "running":
        return f"{name} {size(sent)}"
    rate, left = _number(one, "rate"), one.get("left")
    words = [name]
    if whole > 0:
        part = min(1.0, sent / whole)
        done = int(part * BAR)
        words.append(f"[{'#' * done}{'.' * (BAR - done)}] {part:4.0%}")
    else:
        words.append(size(sent))
    if rate:
        words.append(f"{size(rate)}/s")
    if isinstance(left, int | float):
        words.append(f"{left:.0f} s left")
    return " ".join(words)


# lines


@define
class _Known:
    """What was told of one machine."""

    boots: float = 0
    stages: set[str] = field(factory=set)
    files: OrderedDict[tuple[object, ...], None] = field(factory=OrderedDict)
    matter: str = ""


class Story:
    """What changed, a line each, in the order in which it happened."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def news(self, rows: Iterable[Row], now: float) -> list[str]:
        """
        The lines for these rows.

        @param now: the server's time, for what has none of its own.
        """
        found = [(when, _text(row, "id"), text) for row in rows for when, text in self._changes(row, now)]
        found.sort(key=lambda one: one[0])
        return [f"{time.strftime('%H:%M:%S', time.localtime(when))}  {who:17}  {text}" for when, who, text in found]

    def _changes(self, row: Row, now: float) -> Iterator[tuple[float, str]]:
        known = self._of(_text(row, "id"))
        boots = _number(row, "boots")
        if known.boots not in (0, boots):
            known.stages.clear()
        known.boots = boots
        stages = row.get("stages")
        for stage, when in stages.items() if isinstance(stages, dict) else ():
            if stage in STEPS and stage not in known.stages and isinstance(when, int | float):
                known.stages.add(stage)
                yield float(when), _step(stage, row)
        for one in _rows(row, "transfers"):
            key = (str(one.get("protocol")), str(one.get("name")), _number(one, "begun"))
            if one.get("state") != "running" and key not in known.files:
                known.files[key] = None
                if len(known.files) > FILES:
                    known.files.popitem(last=False)
                rate = _number(one, "rate")
                took = _number(one, "sent") / rate if rate else 0.0
                yield _number(one, "begun") + took or now, _ended(one)
        matter = _matter(row)
        if matter and matter != known.matter:
            yield now, matter
        known.matter = matter

    def _of(self, name: str) -> _Known:
        known = self._known.setdefault(name, _Known())
        self._known.move_to_end(name)
        if len(self._known) > MACHINES:
            self._known.popitem(last=False)
        return known


def _ended(one: Row) -> str:
    name, protocol = _text(one, "name"), _text(one, "protocol").upper()
    if one.get("state") == "failed":
        return f"does not have {name}: {_text(one, 'reason') or 'it broke off'}"
    rate = _number(one, "rate")
    return f"has {name}: {size(_number(one, 'sent'))} by {protocol}" + (f", {size(rate)}/s" if rate else "")


def _step(stage: str, row: Row) -> str:
    if stage == "asked":
        kind = " ".join(filter(None, (_text(row, "firmware"), _text(row, "architecture"))))
        interface = _text(row, "interface")
        return "asks" + (f", {kind}" if kind else "") + (f", on {interface}" if interface else "")
    if stage == "offered":
        file = _text(row, "boot_file")
        return "is offered" + (f" {file}" if file else " an address")
    return f"has {_text(row, 'address') or 'its address'}" if stage == "leased" else "has its system up"
