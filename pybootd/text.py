"""What clients say, made safe to show: the one way in which foreign text reaches a log, a page or a terminal."""

from __future__ import annotations

LIMIT = 200
"""Characters; no honest name, host name or error text is longer."""


def printable(text: bytes | str, limit: int = LIMIT) -> str:
    """
    Foreign text on one line, without anything that could forge a line or steer a terminal.

    Control characters, line separators, direction marks, lone surrogates and whatever
    else does not print become C{\\x0a} or C{\\u2028}; what is too long is cut and ends in
    C{…}.  A backslash stays as it is: Windows boot files are full of them.

    @param text: bytes count as UTF-8; one that is not shows as C{\\xff}.
    @param limit: how many characters of the text to show.
    """
    if isinstance(text, bytes):
        text = text[: 4 * limit + 4].decode("utf-8", "surrogateescape")
    shown = text[:limit]
    if not shown.isprintable():
        shown = "".join(character if character.isprintable() else _escape(ord(character)) for character in shown)
    return shown if len(text) <= limit else shown + "…"


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte that "surrogateescape" carried through
        code -= 0xDC00
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
