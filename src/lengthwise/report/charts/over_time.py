"""Waiting and running requests, and the KV tokens they hold, over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lengthwise.core.arrays import Floats
from lengthwise.report.look import INK, TALL, line
from lengthwise.report.numbers import plain
from lengthwise.report.parts import Cell, Chart, Table
from lengthwise.report.plots import look, name_lines, nothing, plot
from lengthwise.report.served import Served

PIXELS = 500
"""Spans of time that the run is cut into; the most of each span is drawn."""

_ROWS = 25

_INSTANT = 1e-9
"""Seconds within which an answer does not grow: it is there at once."""


@dataclass(frozen=True, eq=False)
class Levels:
    """The most of each span of time; all [spans].

    Attributes:
        time: seconds at which the spans begin.
        waiting: requests that came and have no first token yet.
        running: requests between their first and their last token.
        kv: tokens that these hold: prompts, and answers that grow evenly.
        waited: share of the whole time in which some request waited.
    """

    time: Floats
    waiting: Floats
    running: Floats
    kv: Floats
    waited: float


def over_time(
    served: Sequence[Served], seats: int | None = None, kv_tokens: int | None = None
) -> Chart:
    """Three plots over one time, a line for each run.

    Requests that are being prefilled count as waiting: they have no token yet.

    Args:
        seats: most requests in a step, drawn as a line if known.
        kv_tokens: tokens that the KV cache holds, drawn as a line if known.
    """
    found = [levels(each) for each in served]
    drawn = [number for number, each in enumerate(found) if len(each.time)]
    with look():
        labels = ["waiting requests", "running requests", "KV tokens"]
        figure, plots = plot("seconds", labels, TALL)
        lines = []
        for number in drawn:
            it, style = found[number], line(number, markers=False)
            style["linewidth"] = 1.3
            for axes, values in zip(plots, (it.waiting, it.running, it.kv), strict=True):
                lines += axes.plot(it.time, values, drawstyle="steps-post", **style)
        for axes, most in zip(plots, (None, seats, kv_tokens), strict=True):
            _finish(axes, most, bool(drawn))
        name_lines(figure, lines[::3], [served[number].name for number in drawn])
    return Chart(
        "over-time",
        figure,
        "Waiting and running requests and KV tokens over time (the most of each span)",
        _described(served, found, seats, kv_tokens),
        _table(served, found),
    )


def levels(served: Served) -> Levels:
    """How many requests wait and run and what they hold, the most of each span of time.

    Requests without a first token (rejected ones) are left out; those without a last one
    run to the end.
    """
    known = np.isfinite(served.first)
    arrival, first = served.arrival[known], served.first[known]
    if not known.any():
        nothing_there = np.zeros(0)
        return Levels(nothing_there, nothing_there, nothing_there, nothing_there, 0.0)
    end = float(max(first.max(), np.nanmax(np.append(served.finish[known], first.max()))))
    finish = np.where(np.isfinite(served.finish[known]), served.finish[known], end)
    begin = float(arrival.min())
    grid = np.linspace(begin, end, PIXELS + 1) if end > begin else np.array([begin, begin + 1.0])
    prompt, output = served.prompt[known].astype(float), served.output[known].astype(float)
    seconds = finish - first
    slope = np.divide(output, seconds, out=np.zeros(len(first)), where=seconds > _INSTANT)
    one = np.ones(len(arrival))
    return Levels(
        grid[:-1],
        _most(grid, arrival, first, one, 0.0 * one),
        _most(grid, first, finish, one, 0.0 * one),
        _most(grid, first, finish, prompt, slope),
        _share(arrival, first, begin, end),
    )


def _most(grid: Floats, start: Floats, stop: Floats, level: Floats, slope: Floats) -> Floats:
    """[spans] the most of a sum: each adds level + slope · age from its start to its stop."""
    at = np.concatenate([start, stop])
    order = np.argsort(at, kind="stable")
    at = at[order]
    base = level - slope * (start - grid[0])
    total = np.append(0.0, np.cumsum(np.concatenate([base, -base])[order]))
    steep = np.append(0.0, np.cumsum(np.concatenate([slope, -slope])[order]))

    def value(times: Floats, side: Literal["left", "right"]) -> Floats:
        """Just before these times (left), or just after them."""
        events = np.searchsorted(at, times, side)
        found: Floats = total[events] + steep[events] * (times - grid[0])
        return found

    most = np.maximum(value(grid[:-1], "right"), value(grid[1:], "left"))
    moments, last = np.unique(at), len(most) - 1
    sides: tuple[Literal["left", "right"], ...] = ("left", "right")
    for side in sides:
        spans = np.clip(np.searchsorted(grid, moments, side) - 1, 0, last)
        np.maximum.at(most, spans, value(moments, side))
    # Rounding leaves a little where nobody is.
    found: Floats = np.maximum(most.round(6), 0.0)
    return found


def _share(arrival: Floats, first: Floats, begin: float, end: float) -> float:
    """Share of the time from begin to end in which at least one request waited."""
    if end <= begin:
        return 0.0
    order = np.argsort(arrival, kind="stable")
    until = np.maximum.accumulate(first[order])
    free = np.maximum(arrival[order][1:] - until[:-1], 0.0).sum() + max(end - until[-1], 0.0)
    return float(1.0 - free / (end - begin))


def _finish(axes: Axes, most: int | None, any_drawn: bool) -> None:
    if not any_drawn:
        nothing(axes, "no request has a first token")
        return
    axes.set_ylim(bottom=0.0)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: plain(float(value)))
    if most is not None:
        axes.axhline(most, color=INK.light, linewidth=1.0, linestyle=(0, (2, 2)))
        top = max(axes.get_ylim()[1], 1.12 * most)
        axes.set_ylim(0.0, top)
        place = ("axes fraction", "data")
        axes.annotate(f"all {most:,}", (0.99, most), xycoords=place, ha="right", va="bottom")


def _described(
    served: Sequence[Served], found: Sequence[Levels], seats: int | None, kv_tokens: int | None
) -> str:
    parts = ["Waiting requests, running requests and KV tokens over the seconds of the run."]
    for one, it in zip(served, found, strict=True):
        if len(it.time):
            parts.append(
                f"{one.name}: at most {int(it.waiting.max()):,} requests wait and "
                f"{int(it.running.max()):,} run, which hold up to {plain(float(it.kv.max()))} "
                f"tokens; in {100 * it.waited:.0f} % of the time some request has no token yet."
            )
    if seats is not None:
        parts.append(f"The engine has {seats:,} seats.")
    if kv_tokens is not None:
        parts.append(f"Its KV cache holds {kv_tokens:,} tokens.")
    return " ".join(parts)


def _table(served: Sequence[Served], found: Sequence[Levels]) -> Table:
    rows: list[list[Cell]] = [
        [one.name, *(float(each[span]) for each in (it.time, it.waiting, it.running, it.kv))]
        for one, it in zip(served, found, strict=True)
        for span in range(0, len(it.time), max(len(it.time) // _ROWS, 1))
    ]
    heads = ["run", "from (s)", "waiting", "running", "KV tokens"]
    note = "The most within a five-hundredth of the run, every twentieth of them."
    return Table("over-time-levels", "Over time", heads, rows, note, folded=True)
