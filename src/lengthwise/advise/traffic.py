"""The whole trace over time: how many requests and tokens came."""

from __future__ import annotations

import numpy as np

from lengthwise.report.look import TALL, line
from lengthwise.report.numbers import plain
from lengthwise.report.parts import Cell, Chart, Table
from lengthwise.report.plots import look, plot
from lengthwise.workload.workload import Workload

_BINS = 120
_TABLED = 24
_LEAST = 1e-6
"""Seconds that a trace is taken to last at least."""


def load_over_time(workload: Workload) -> Chart:
    """Requests and tokens a second, in spans of the trace."""
    end = max(float(workload.arrival[-1]), _LEAST)
    edges = np.linspace(0.0, end, _BINS + 1)
    width = end / _BINS
    span = np.minimum((workload.arrival / width).astype(int), _BINS - 1)
    counts = np.bincount(span, minlength=_BINS) / width
    prompts = np.bincount(span, workload.prompt - workload.prefix, _BINS) / width
    outputs = np.bincount(span, workload.output, _BINS) / width
    with look():
        figure, plots = plot("seconds", ["requests/s", "prompt tokens/s", "output tokens/s"], TALL)
        for number, (axes, values) in enumerate(
            zip(plots, (counts, prompts, outputs), strict=True)
        ):
            axes.plot(edges[:-1], values, drawstyle="steps-post", **line(number, markers=False))
            axes.set_ylim(bottom=0.0)
    rows: list[list[Cell]] = []
    for part in np.array_split(np.arange(_BINS), _TABLED):
        means = [float(each[part].mean()) for each in (counts, prompts, outputs)]
        rows.append([float(edges[part[0]]), *means])
    heads = ["from (s)", "requests/s", "prompt tokens/s", "output tokens/s"]
    description = (
        f"{len(workload):,} requests in {plain(end)} s: {plain(workload.rate)} a second in the "
        f"mean, {plain(float(counts.max()))} in the busiest span of {plain(width)} s; "
        f"{plain(float(prompts.mean()))} prompt tokens that are not cached and "
        f"{plain(float(outputs.mean()))} output tokens a second."
    )
    return Chart(
        "load-over-time",
        figure,
        "Load over time",
        description,
        Table("load-over-time", "Load over time", heads, rows, folded=True),
    )
