"""Runs of results.json for a table: grouped, averaged over repetitions, compared in pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lengthwise.results.record import Run

Group = Sequence[Run]


def grouped(runs: Group, names: Sequence[str]) -> list[list[Run]]:
    """Runs that have these fields in common, in the order in which they first come."""
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(tuple(run.get(name) for name in names), []).append(run)
    return list(groups.values())


def mean(group: Group, name: str) -> float:
    """A figure's mean over some runs; NaN where it is unset."""
    return float(np.mean([run.get(name, math.nan) for run in group]))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half width of its 95 % confidence interval (NaN for a single value)."""
    middle = float(np.mean(values))
    if len(values) < 2:
        return middle, math.nan
    from scipy import stats

    # In shares of the largest: squares of huge values would be infinite.
    size = float(np.abs(values).max()) or 1.0
    error = size * float(np.std(np.array(values) / size, ddof=1)) / math.sqrt(len(values))
    return middle, float(stats.t.ppf(0.975, len(values) - 1)) * error


def times(value: float, base: float) -> str:
    """How many times the base a figure is, as a table shows it; - where nothing is the base."""
    ratio = value / base if base else math.nan
    return f"{ratio:.2f}x" if math.isfinite(ratio) else "-"


def change(group: Group, base: Group, name: str, by: str) -> str:
    """A figure's change against other runs in per cent, as a table shows it.

    The mean of the changes within each pair of runs that have ``by`` in common (a seed, a
    repeat), and ± the half width of its interval if there are several; - without a pair.
    """
    theirs = {run[by]: run[name] for run in base}
    both = [(run[name], theirs[run[by]]) for run in group if theirs.get(run[by])]
    changes = [100.0 * (value / was - 1.0) for value, was in both]
    changes = [each for each in changes if math.isfinite(each)]
    if not changes:
        return "-"
    middle, half = interval(changes)
    return f"{middle:+.1f} %" + ("" if math.isnan(half) else f" ±{half:.1f}")
