"""The plugin package of C{docs/plugins.rst}, made of the page itself."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "plugins.rst"
_BLOCK = re.compile(r"^\.\. code:: (\w+)\n\n((?:   .*\n|\n)+)", re.MULTILINE)


def blocks() -> list[tuple[str, str]]:
    """Each block of code: its language and its text."""
    return [
        (language, "\n".join(line[3:] for line in text.rstrip().split("\n")) + "\n")
        for language, text in _BLOCK.findall(PAGE.read_text())
    ]


def files() -> dict[str, str]:
    """The files of the package: a block whose first line is a comment is the file of that name."""
    named = (text.partition("\n") for _, text in blocks())
    return {first.removeprefix("# "): rest for first, _, rest in named if first.startswith("# ")}


def configuration() -> str:
    """The configuration that uses them all."""
    return next(text for language, text in blocks() if language == "ini" and text.startswith("[bootpd]"))


def write(directory: Path) -> None:
    """Write the package down."""
    for name, text in {**files(), "bootclub/__init__.py": ""}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
