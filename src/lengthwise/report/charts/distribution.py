"""How long requests take: the share of them that takes longer than each time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from lengthwise.core.arrays import Floats
from lengthwise.core.service import ServiceClass
from lengthwise.report.look import FAINT, INK, line
from lengthwise.report.numbers import seconds
from lengthwise.report.parts import Cell, Chart, Table
from lengthwise.report.plots import logarithmic, look, name_lines, nothing, plot
from lengthwise.report.served import Served

LEVELS = (0.5, 0.9, 0.99)
"""Quantiles that are marked, if there are enough requests to tell them."""

LEAST = 0.001
"""Seconds; shorter times are drawn here, for a logarithmic axis has no zero."""

_TABLED = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
_POINTS = 300
_SHARES = ((1.0, "all"), (0.5, "half"), (0.1, "1 in 10"), (0.01, "1 in 100"), (0.001, "1 in 1000"))


def latency(served: Sequence[Served]) -> Chart:
    """From arrival to the last token, a line for each run."""
    return _chart("latency", "Latency", served, [each.latency for each in served])


def ttft(served: Sequence[Served]) -> Chart:
    """From arrival to the first token, a line for each run."""
    return _chart("ttft", "Time to first token", served, [each.ttft for each in served])


def ttft_of_class(own: ServiceClass, served: Sequence[Served]) -> Chart:
    """TTFT of one class's requests, a line for each run; what is promised is marked.

    Args:
        served: only the requests of the class, of each run.
    """
    what = f"Time to first token of {own.name}"
    times = [each.ttft for each in served]
    return _chart(f"ttft-of-{own.name}", what, served, times, own.target.ttft)


def _chart(
    name: str,
    what: str,
    served: Sequence[Served],
    times: Sequence[Floats],
    target: float | None = None,
) -> Chart:
    known = [each[np.isfinite(each)] for each in times]
    names = [each.name for each in served]
    with look():
        figure, (axes,) = plot(f"{what} in seconds", ["requests that take longer"])
        lines = [_draw(axes, number, each) for number, each in enumerate(known) if len(each)]
        drawn = [each for each, times in zip(names, known, strict=True) if len(times)]
        if lines:
            _shares(axes, max(map(len, known)))
            if target is not None:
                _mark(axes, target)
            logarithmic(axes, "x")
            name_lines(figure, lines, drawn)
        else:
            nothing(axes, "no request has such a time")
    return Chart(
        name,
        figure,
        f"{what}: how many requests take longer (● half, ■ 1 in 10, ▲ 1 in 100)",
        _described(what, names, known, target),
        _table(name, what, names, known),
    )


def _draw(axes: Axes, number: int, times: Floats) -> object:
    """The share of requests above each time, evenly spread over the share's logarithm."""
    n = len(times)
    above = np.geomspace(1.0, 1.0 / n, min(n, _POINTS)) if n > 1 else np.ones(1)
    at = np.maximum(np.quantile(times, 1.0 - above), LEAST)
    style = line(number, markers=False)
    (drawn,) = axes.plot(at, above, **style)
    for level, marker in zip(LEVELS, ("o", "s", "^"), strict=True):
        if n * (1.0 - level) >= 1.0:
            x = max(float(np.quantile(times, level)), LEAST)
            axes.plot(x, 1.0 - level, marker=marker, color=style["color"], markersize=6)
    return drawn


def _shares(axes: Axes, most: int) -> None:
    """The vertical axis in words, down to one request of the largest run."""
    axes.set_yscale("log")
    shown = [each for each in _SHARES if each[0] >= 0.5 / most]
    axes.set_yticks([share for share, _ in shown], [text for _, text in shown])
    axes.set_yticks([], minor=True)
    axes.set_ylim(max(0.7 / most, 5e-5), 1.25)
    axes.axhline(0.5, color=FAINT.light, linewidth=0.6)


def _mark(axes: Axes, target: float) -> None:
    """A line at what is promised."""
    at = max(target, LEAST)
    axes.axvline(at, color=INK.light, linewidth=1.0, linestyle=(0, (2, 2)))
    place = ("data", "axes fraction")
    axes.annotate(f" promised: {seconds(target)}", (at, 0.01), xycoords=place, va="bottom")


def _described(
    what: str, names: Sequence[str], known: Sequence[Floats], target: float | None
) -> str:
    found = [f"{what} of the requests, on a logarithmic scale of seconds."]
    if target is not None:
        found.append(f"A line marks what is promised: {seconds(target)}.")
    for name, times in zip(names, known, strict=True):
        if len(times):
            half, tenth, hundredth = (seconds(float(np.quantile(times, p))) for p in LEVELS)
            found.append(
                f"{name}: half of {len(times):,} requests take longer than {half}, "
                f"one in ten longer than {tenth}, one in a hundred longer than {hundredth}."
            )
        else:
            found.append(f"{name}: no request has such a time.")
    return " ".join(found)


def _table(name: str, what: str, names: Sequence[str], known: Sequence[Floats]) -> Table:
    rows: list[list[Cell]] = []
    for each, times in zip(names, known, strict=True):
        at = [float(np.quantile(times, p)) if len(times) else None for p in _TABLED]
        rows.append([each, len(times), *at])
    heads = ["run", "requests", *(f"p{100 * p:g} (s)" for p in _TABLED)]
    return Table(f"{name}-quantiles", f"{what}, quantiles", heads, rows, folded=True)
