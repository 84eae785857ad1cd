"""Latency by how long requests are: who wins and who loses by a policy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lengthwise.core.arrays import Floats, Ints
from lengthwise.report.charts.distribution import LEAST
from lengthwise.report.look import line
from lengthwise.report.numbers import plain, seconds
from lengthwise.report.parts import Cell, Chart, Table
from lengthwise.report.plots import logarithmic, look, name_lines, nothing, plot
from lengthwise.report.served import Served

_MOST = 10
_FEW = 5

Found = list[tuple[Floats, Floats, Floats, Ints]]
"""For each run, by its bins: mean tokens, median and p90 of latency in seconds, requests."""


def by_output(served: Sequence[Served]) -> Chart:
    """Latency against output tokens, a line for each run."""
    return _chart("output", "latency-by-output", served, [each.output for each in served])


def by_prompt(served: Sequence[Served]) -> Chart:
    """Latency against prompt tokens, a line for each run."""
    return _chart("prompt", "latency-by-prompt", served, [each.prompt for each in served])


def _chart(what: str, name: str, served: Sequence[Served], lengths: Sequence[Ints]) -> Chart:
    ends = edges(np.concatenate([np.zeros(0, np.int64), *lengths]))
    found = [_binned(one, own, ends) for one, own in zip(served, lengths, strict=True)]
    with look():
        figure, (axes,) = plot(f"{what} tokens of a request", ["latency in seconds"])
        lines, names = [], []
        for number, (one, (at, half, tail, _)) in enumerate(zip(served, found, strict=True)):
            if len(at):
                style = line(number)
                lines += axes.plot(at, half, **style)
                axes.plot(at, tail, **{**style, "linewidth": 0.9, "markerfacecolor": "none"})
                names.append(one.name)
        if lines:
            logarithmic(axes, "x")
            logarithmic(axes, "y")
            name_lines(figure, lines, names)
        else:
            nothing(axes, "no request has finished")
    title = f"Latency by {what} length (thick: median; thin, hollow: p90)"
    return Chart(name, figure, title, _described(what, served, found), _table(name, served, found))


def edges(lengths: Ints) -> Ints:
    """Ends of bins of lengths, evenly on a logarithmic scale: [bins + 1], the last one open."""
    known = lengths[lengths > 0]
    if not len(known):
        return np.array([1, 2], np.int64)
    low, high = int(known.min()), int(known.max()) + 1
    return np.unique(np.geomspace(low, high, _MOST + 1).round().astype(np.int64))


def _binned(served: Served, lengths: Ints, ends: Ints) -> tuple[Floats, Floats, Floats, Ints]:
    """Bins with enough requests to have a p90 that means something, or all if none has."""
    latency = served.latency
    done = np.isfinite(latency) & (lengths > 0)
    bins = np.searchsorted(ends, lengths[done], side="right") - 1
    few = _FEW if len(bins) >= _FEW * _MOST else 1
    rows = []
    for each in np.unique(bins):
        own = bins == each
        if own.sum() >= few:
            times = np.maximum(latency[done][own], LEAST)
            half, tail = np.quantile(times, (0.5, 0.9))
            rows.append((lengths[done][own].mean(), half, tail, own.sum()))
    at, half, tail, count = np.array(rows, np.float64).reshape(-1, 4).T
    return at, half, tail, count.astype(np.int64)


def _described(what: str, served: Sequence[Served], found: Found) -> str:
    parts = [f"Median and p90 of latency against {what} tokens, both on logarithmic scales."]
    for one, (at, half, _, _) in zip(served, found, strict=True):
        if len(at):
            parts.append(
                f"{one.name}: the median goes from {seconds(float(half[0]))} at about "
                f"{plain(float(at[0]))} {what} tokens to {seconds(float(half[-1]))} at about "
                f"{plain(float(at[-1]))}."
            )
    return " ".join(parts)


def _table(name: str, served: Sequence[Served], found: Found) -> Table:
    rows: list[list[Cell]] = [
        [one.name, int(count), float(at), float(half), float(tail)]
        for one, bins in zip(served, found, strict=True)
        for at, half, tail, count in zip(*bins, strict=True)
    ]
    heads = ["run", "requests", "mean tokens", "median (s)", "p90 (s)"]
    return Table(f"{name}-bins", "Latency by length", heads, rows, folded=True)
