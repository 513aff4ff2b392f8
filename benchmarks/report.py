"""
Results as people read them: ratios with their spread, a table and a plot, put where the documentation shows them.

Servers are compared within a round, for the speed of a machine drifts from one to the next.  Plots need
C{matplotlib}, which nothing else here does.
"""

from __future__ import annotations

import datetime
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from benchmarks.lab import machine

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.rst"
PLOTS = DOCUMENT.parent / "performance"


@frozen
class Spread:
    """Several measurements of one thing."""

    middle: float
    low: float
    high: float

    def text(self, digits: int = 2) -> str:
        """The median, then the least and the most in brackets."""
        middle, low, high = (f"{value:.{digits}f}" for value in (self.middle, self.low, self.high))
        return middle if low == high else f"{middle} ({low}-{high})"


def spread(values: Sequence[float]) -> Spread | None:
    """None where nothing was measured."""
    return Spread(statistics.median(values), min(values), max(values)) if values else None


def ratios(ones: Sequence[float], others: Sequence[float]) -> Spread | None:
    """Of each round its ratio."""
    return spread([one / other for one, other in zip(ones, others, strict=False) if other])


def text(values: Spread | None, digits: int = 2) -> str:
    """A cell of a table."""
    return "-" if values is None else values.text(digits)


def bars(name: str, title: str, cases: Sequence[str], series: Mapping[str, Sequence[Spread | None]]) -> str:
    """
    A plot of ratios, C{name.svg}: a group of bars for each case, a bar with its spread for each server.

    @param title: what the ratios are of, and to what.
    @param series: of each server, a value for each case.
    @return: the title.
    """
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": name, "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    height = 0.8 / len(series)
    figure, axes = pyplot.subplots(figsize=(8, 0.6 + len(cases) * (0.16 * len(series) + 0.14)))
    for index, (server, values) in enumerate(series.items()):
        seen = [(at, value) for at, value in enumerate(values) if value is not None]
        axes.barh(
            [at + (index - (len(series) - 1) / 2) * height for at, _ in seen],
            [value.middle for _, value in seen],
            height * 0.9,
            xerr=[[v.middle - v.low for _, v in seen], [v.high - v.middle for _, v in seen]],
            error_kw={"elinewidth": 0.7},
            label=server,
        )
    axes.axvline(1, color="black", linewidth=0.7)
    axes.set_yticks(range(len(cases)), cases)
    axes.invert_yaxis()
    axes.set_xlabel(title)
    axes.legend(fontsize=8)
    figure.tight_layout()
    PLOTS.mkdir(exist_ok=True)
    path = PLOTS / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    path.write_text("".join(line.rstrip() + "\n" for line in path.read_text().splitlines()))
    return title


def heading(module: str) -> str:
    """What made these figures, where and when."""
    command = shlex.join(["python", "-m", module, *sys.argv[1:]])
    return f"``{command}``, {datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {machine()}."


def put(name: str, body: str, alt: str = "") -> None:
    """
    Replace what stands between the marks of this name in docs/performance.rst.

    @param alt: what the plot of this name shows; nothing where there is none.
    """
    if alt:
        body += f"\n\n.. image:: {PLOTS.name}/{name}.svg\n   :alt: {alt}"
    begin, end = f".. begin {name}\n", f".. end {name}\n"
    before, _, rest = DOCUMENT.read_text().partition(begin)
    _, _, after = rest.partition(end)
    if not after and end not in rest:
        raise RuntimeError(f"{DOCUMENT} has no place for {name}: write {begin.strip()!r} and {end.strip()!r} there")
    DOCUMENT.write_text(f"{before}{begin}\n{body.strip()}\n\n{end}{after}")
