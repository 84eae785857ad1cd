"""Figures of runs of several instances, against the number of instances."""

from __future__ import annotations

import math
from pathlib import Path

from lengthwise.results.plotting import labelled, literal, save
from lengthwise.results.record import Run
from lengthwise.results.runs import grouped, interval

_SIZE = (6.0, 4.0)
"""Of a figure, in inches."""

_LINES = ("load", "policy", "predictor", "router", "stale_s")
"""What runs with one line in a figure have in common."""

FIGURES = {
    "p99_latency.png": ("p99_latency_s", "p99 latency in simulated seconds"),
    "p99_ttft.png": ("p99_ttft_s", "p99 time to first token in simulated seconds"),
    "imbalance.png": ("work_imbalance", "imbalance of the work left (deviation / mean)"),
}
"""Each figure's file, the field that it shows and its axis label."""


def draw_fleets(runs: list[Run], folder: Path) -> list[Path]:
    """The figures, as PNGs in an existing folder; none if there is one number of instances."""
    if len({run["instances"] for run in runs}) < 2:
        return []
    return [_draw(runs, what, label, folder / file) for file, (what, label) in FIGURES.items()]


def _draw(runs: list[Run], what: str, label: str, path: Path) -> Path:
    figure, axes = labelled("instances", label, _SIZE)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    for group in grouped(_served(runs), _LINES):
        points = grouped(group, ("instances",))
        found = [interval([run[what] for run in each]) for each in points]
        means, halves = zip(*found, strict=True)
        axes.errorbar(
            [each[0]["instances"] for each in points],
            means,
            [0.0 if math.isnan(half) else half for half in halves],
            marker="o",
            capsize=2,
            label=literal(_label(group[0], runs)),
        )
    return save(figure, path, axes)


def _label(run: Run, runs: list[Run]) -> str:
    """The router, and whatever else differs between the lines."""
    others = (name for name in _LINES if name != "router" and len({r[name] for r in runs}) > 1)
    return ", ".join([str(run["router"]), *(f"{run[name]}" for name in others)])


def _served(runs: list[Run]) -> list[Run]:
    """Those with figures: where no request finished there are none."""
    return [run for run in runs if run.finished]
