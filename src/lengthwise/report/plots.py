"""Empty plots in the page's look, and their legends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lengthwise.report.look import FAINT, SIZE, STYLE, legend
from lengthwise.results.plotting import literal

_WIDTH, _HANDLE = 76, 7
"""Letters that a legend's line has room for, and those that a name's line is as wide as."""

_TICKS = (
    (10.0, (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)),
    (300.0, (1.0, 2.0, 5.0)),
    (float("inf"), (1.0,)),
)
"""Ticks of a decade on a logarithmic axis, by the largest ratio of its ends."""


@contextmanager
def look() -> Iterator[None]:
    """matplotlib draws in the page's look within the block."""
    with mpl.rc_context(dict(STYLE)):
        yield


def plot(x: str, ys: Sequence[str], size: tuple[float, float] = SIZE) -> tuple[Figure, list[Axes]]:
    """A figure with a plot for each label of a y axis, one above the other, x in common."""
    figure = Figure(figsize=size, layout="constrained")
    made = figure.subplots(len(ys), 1, sharex=True, squeeze=False)
    found: list[Axes] = list(made[:, 0])
    for axes, y in zip(found, ys, strict=True):
        axes.set_ylabel(y)
        axes.grid(linewidth=0.7)
        axes.set_axisbelow(True)
    found[-1].set_xlabel(x)
    return figure, found


def name_lines(figure: Figure, lines: Sequence[Any], names: Sequence[object]) -> None:
    """A legend above the plots; names come from users and are cut after 34 letters."""
    if lines:
        shown = [literal(short(name)) for name in names]
        columns = max(_WIDTH // (max(map(len, shown)) + _HANDLE), 1)
        figure.legend(lines, shown, **legend(min(columns, len(lines))))


def short(name: object, most: int = 34) -> str:
    """A name that fits into a legend or beside an axis."""
    text = str(name)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def logarithmic(axes: Axes, which: str) -> None:
    """A logarithmic axis, ``x`` or ``y``, with plain numbers at its ticks."""
    axis: Any = getattr(axes, f"{which}axis")
    low, high = axis.get_data_interval()
    if 0.0 < low <= high < 1.05 * low:
        # Around a single value matplotlib finds no limits.
        axes.set(**{f"{which}lim": (low / 2.0, 2.0 * high)})
    axes.set(**{f"{which}scale": "log"})
    low, high = axis.get_view_interval()
    subs = next(subs for most, subs in _TICKS if high / low <= most)
    axis.set_major_locator(LogLocator(10, subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())


def nothing(axes: Axes, reason: str) -> None:
    """Say in a plot why it is empty."""
    axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", color=FAINT.light)
