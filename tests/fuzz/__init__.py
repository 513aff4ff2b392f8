"""
Fuzzing: each parser that reads what strangers write, fed with bytes that nobody thought of.

A target is a module with C{one(data)}, which raises when one of its promises is broken, and C{SEEDS}, what honest
clients say.  C{python -m tests.fuzz TARGET} looks for more; what is worth keeping lies in C{corpus/TARGET}, and the
unit tests run all of it each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from attrs import frozen

CORPUS = Path(__file__).parent / "corpus"

NAMES = (
    "packet",
    "options",
    "conversation",
    "request",
    "transfer",
    "target",
    "range",
    "channel",
    "ini",
    "names",
    "capture",
    "frames",
    "status",
)
"""The targets; each is a module of L{tests.fuzz.targets}."""


@frozen
class Target:
    """One parser and what it promises."""

    name: str
    one: Callable[[bytes], None]
    """Takes any bytes; raises where a promise is broken."""
    seeds: Sequence[bytes]
    """What honest clients say; the first of all mutations."""

    @property
    def directory(self) -> Path:
        """Where its corpus is kept."""
        return CORPUS / self.name

    @property
    def corpus(self) -> Sequence[bytes]:
        """Seeds and kept finds."""
        return [*self.seeds, *(path.read_bytes() for path in sorted(self.directory.glob("*.bin")))]


def target(name: str) -> Target:
    """The target of this name."""
    module = import_module(f"tests.fuzz.targets.{name}")
    return Target(name, module.one, module.SEEDS)
