"""A figure against the load, a line for each policy, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lengthwise.core.arrays import Floats
from lengthwise.report.look import line
from lengthwise.report.numbers import plain
from lengthwise.report.parts import Cell, Chart, Table
from lengthwise.report.plots import logarithmic, look, name_lines, nothing, plot


@dataclass(frozen=True, eq=False)
class Curve:
    """A policy's figure at several loads.

    Attributes:
        name: in the legend.
        load: [n] loads, in the unit of the chart's x axis.
        value: [n] the figure at each; NaN where it is not known.
        low, high: [n] its interval; NaN where there is none.
    """

    name: str
    load: Floats
    value: Floats
    low: Floats
    high: Floats


def against_load(
    name: str, what: str, unit: str, curves: Sequence[Curve], loads: str = "requests per second"
) -> Chart:
    """A line for each curve; the vertical axis is logarithmic where a figure grows tenfold.

    Shares, whose unit is %, stand on an axis from 0 to 100.

    Args:
        name: of the chart's files.
        what: the figure and its unit, as ``mean latency``, which begins the title.
        unit: of the figure.
        loads: what the loads are, with their unit.
    """
    known = [each for each in curves if np.isfinite(each.value).any()]
    with look():
        figure, (axes,) = plot(loads, [f"{what} in {unit}"])
        lines = []
        for number, each in enumerate(known):
            order = np.argsort(each.load, kind="stable")
            load, value = each.load[order], each.value[order]
            below, above = value - each.low[order], each.high[order] - value
            reach = np.maximum(np.nan_to_num(np.array([below, above])), 0.0)
            lines.append(axes.errorbar(load, value, reach, capsize=3, **line(number)))
        if known:
            values = np.concatenate([each.value[np.isfinite(each.value)] for each in known])
            if unit == "%":
                axes.set_ylim(-2.0, 102.0)
            elif values.min() > 0.0 and values.max() > 10.0 * values.min():
                logarithmic(axes, "y")
            else:
                axes.set_ylim(bottom=min(0.0, float(values.min())))
            name_lines(figure, lines, [each.name for each in known])
        else:
            nothing(axes, "no figure is known")
    title = f"{what[:1].upper()}{what[1:]} against load"
    if any(np.isfinite(each.low).any() for each in known):
        title += " (bars: 95 % intervals)"
    return Chart(
        name, figure, title, _described(what, unit, known), _table(name, what, unit, loads, known)
    )


def _described(what: str, unit: str, curves: Sequence[Curve]) -> str:
    parts = [f"{what[:1].upper()}{what[1:]} in {unit} against load."]
    for each in curves:
        known = np.flatnonzero(np.isfinite(each.value))
        first, last = known[np.argmin(each.load[known])], known[np.argmax(each.load[known])]
        parts.append(
            f"{each.name}: {plain(float(each.value[first]))} at {plain(float(each.load[first]))}"
            + (
                f", {plain(float(each.value[last]))} at {plain(float(each.load[last]))}."
                if last != first
                else "."
            )
        )
    return " ".join(parts)


def _table(name: str, what: str, unit: str, loads: str, curves: Sequence[Curve]) -> Table:
    rows: list[list[Cell]] = [
        [each.name, *map(float, row)]
        for each in curves
        for row in zip(each.load, each.value, each.low, each.high, strict=True)
    ]
    heads = ["policy", loads, f"{what} ({unit})", f"from ({unit})", f"to ({unit})"]
    return Table(f"{name}-figures", f"{what[:1].upper()}{what[1:]}", heads, rows, folded=True)
