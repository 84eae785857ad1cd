"""Attainment by class: the share of each class's requests that got what is promised."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from lengthwise.core.service import Classes
from lengthwise.report.attained import Attained, attained
from lengthwise.report.look import line
from lengthwise.report.numbers import plain
from lengthwise.report.parts import Cell, Chart, Table
from lengthwise.report.plots import look, name_lines, nothing, plot, short
from lengthwise.report.served import Served
from lengthwise.results.plotting import literal

_SPREAD = 0.7
"""Part of the height between two classes that their marks take."""


def attainment(served: Sequence[Served], classes: Classes) -> Chart:
    """A row for each class, a mark with its 95 % interval for each run."""
    found = [attained(one, classes) for one in served]
    there = [each.name for each in classes.all if any(it[each.name].requests for it in found)]
    with look():
        figure, (axes,) = plot("requests that got what is promised (%)", ["class"])
        lines = [
            _draw(axes, number, len(served), [it[name] for name in there])
            for number, it in enumerate(found)
        ]
        if there:
            axes.set_yticks(range(len(there)), [literal(short(name, 16)) for name in there])
            axes.set_ylim(len(there) - 0.5, -0.5)
            axes.set_xlim(left=max(axes.get_xlim()[0], -2.0), right=102.0)
            name_lines(figure, lines, [one.name for one in served])
        else:
            nothing(axes, "no request is in a class")
    return Chart(
        "attainment",
        figure,
        "Attainment: requests that finished and met every target (bars: 95 % intervals)",
        _described(served, found, there),
        _table(served, found, there),
    )


def _draw(axes: Axes, number: int, runs: int, found: Sequence[Attained]) -> object:
    middle = np.array([each.share for each in found])
    at = np.arange(len(found)) + _SPREAD * ((number + 0.5) / runs - 0.5)
    reach = np.array([[each.share - each.low, each.high - each.share] for each in found])
    bars = 100.0 * np.maximum(np.nan_to_num(reach.reshape(-1, 2).T), 0.0)
    style = {**line(number), "linestyle": "none"}
    return axes.errorbar(100.0 * middle, at, xerr=bars, capsize=3, **style)


def _described(
    served: Sequence[Served], found: Sequence[dict[str, Attained]], there: Sequence[str]
) -> str:
    parts = ["The share of each class's requests that finished and met every target."]
    for one, it in zip(served, found, strict=True):
        said = [
            f"{name} {plain(100.0 * it[name].share)} % of {it[name].requests:,}"
            for name in there
            if not math.isnan(it[name].share)
        ]
        parts.append(f"{one.name}: {', '.join(said) or 'no request in a class'}.")
    return " ".join(parts)


def _table(
    served: Sequence[Served], found: Sequence[dict[str, Attained]], there: Sequence[str]
) -> Table:
    rows: list[list[Cell]] = [
        [
            *(name, one.name, it[name].requests),
            *(100.0 * share for share in (it[name].share, it[name].low, it[name].high)),
        ]
        for name in there
        for one, it in zip(served, found, strict=True)
    ]
    heads = ["class", "run", "requests", "attained (%)", "from (%)", "to (%)"]
    return Table("attainment-figures", "Attainment", heads, rows, folded=True)
