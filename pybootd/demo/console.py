"""What a serial console prints, as lines for people: no cursor movements, no half lines, no repetitions."""

from __future__ import annotations

import re

from pybootd.text import printable

_STEERING = re.compile(rb"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[()][0-9A-Za-z]|\x1b[=>c78]|\x00")
_ENDS = re.compile(rb"[\r\n]+|\x08+")
_LONGEST = 4096
_PROGRESS = re.compile(r"\d+%$")


class Lines:
    """Cuts a stream of bytes into lines."""

    def __init__(self) -> None:
        self._rest = b""
        self._last = ""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete now, safe to show; empty ones, and a line twice in a row, are left out."""
        # a sequence that was cut in two stays until its end is here
        *whole, self._rest = _ENDS.split(_STEERING.sub(b"", self._rest + data))
        self._rest = self._rest[-_LONGEST:]
        return [line for line in map(self._line, whole) if line]

    def end(self) -> list[str]:
        """What is left when nothing more comes."""
        return self.feed(b"\n")

    def _line(self, raw: bytes) -> str:
        line = printable(raw.strip())
        if line == self._last or _PROGRESS.search(line):
            return ""
        self._last = line
        return line
