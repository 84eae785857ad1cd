"""How much a figure changed from one run to another, with an interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.arrays import Floats, Ints
from lengthwise.report.numbers import percent
from lengthwise.report.served import Served
from lengthwise.results.bootstrap import Resamples

RESAMPLES = 300
"""Of the blocks of requests, for an interval."""

_BLOCKS = 100
_CLOCK = 0.01

_FEW = 8.0
"""Times as many of the slowest requests are ranked for a quantile as lie above it."""

_AT_ONCE = 4_000_000
"""Numbers in memory at once."""

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Figure:
    """A figure of a run that can be compared.

    Attributes:
        name: what it is; in seconds.
        times: [n] of each request, NaN where there is none.
        level: a quantile of the times; None is their mean.
        field: its name in results.json; None if it is not there.
    """

    name: str
    times: Callable[[Served], Floats]
    level: float | None = None
    field: str | None = None


FIGURES = (
    Figure("mean latency", lambda served: served.latency, None, "mean_latency_s"),
    Figure("p50 latency", lambda served: served.latency, 0.5, "p50_latency_s"),
    Figure("p90 latency", lambda served: served.latency, 0.9),
    Figure("p99 latency", lambda served: served.latency, 0.99, "p99_latency_s"),
    Figure("mean TTFT", lambda served: served.ttft, None, "mean_ttft_s"),
    Figure("p99 TTFT", lambda served: served.ttft, 0.99, "p99_ttft_s"),
)
"""What is compared of two runs."""


@dataclass(frozen=True)
class Change:
    """A figure before and after, and its change as a share with a 95 % interval (NaN: none).

    Attributes:
        before, after: seconds.
        middle: the mean of several changes; None where the change is of the two seconds.
    """

    before: float
    after: float
    low: float = math.nan
    high: float = math.nan
    middle: float | None = None

    @property
    def share(self) -> float:
        """The change: -0.2 is a fifth less; NaN from 0 seconds."""
        if self.middle is not None:
            return self.middle
        return self.after / self.before - 1.0 if self.before else math.nan

    @property
    def sure(self) -> bool:
        """Whether the interval does not contain "no change"."""
        return self.low > 0.0 or self.high < 0.0

    def __str__(self) -> str:
        if math.isnan(self.low):
            return percent(self.share)
        low, high = (percent(each).removesuffix(" %") for each in (self.low, self.high))
        return f"{percent(self.share)} ({low} to {high})"


def matched(before: Served, after: Served) -> tuple[Ints, Ints] | None:
    """Where the same requests stand in both, if both served the same at the same times.

    None if they did not: other ids or other lengths of prompts, or times of arrival that are
    more than 10 ms apart.
    """
    if len(before) != len(after) or bool(len(before.id)) != bool(len(after.id)):
        return None
    left, right = np.arange(len(before)), np.arange(len(after))
    if len(before.id):
        place = {id: number for number, id in enumerate(after.id)}
        if len(place) < len(after) or any(id not in place for id in before.id):
            return None
        right = np.array([place[id] for id in before.id], np.int64)
    alike = np.allclose(before.arrival[left], after.arrival[right], rtol=0.0, atol=_CLOCK)
    return (left, right) if alike and (before.prompt == after.prompt[right]).all() else None


def change(before: Served, after: Served, figure: Figure, resamples: int = RESAMPLES) -> Change:
    """The figure's change from one run to another.

    Requests that come one after the other share their fate, so blocks of them are drawn with
    replacement: the same blocks of both runs if they served the same requests (paired), of
    each run by itself if not.
    """
    old, new = figure.times(before), figure.times(after)
    both = matched(before, after)
    if both is not None:
        old, new = old[both[0]], new[both[1]]
        done = np.isfinite(old) & np.isfinite(new)
        return _change(old[done], new[done], figure.level, resamples, paired=True)
    old, new = old[np.isfinite(old)], new[np.isfinite(new)]
    return _change(old, new, figure.level, resamples, paired=False)


def _change(old: Floats, new: Floats, level: float | None, resamples: int, paired: bool) -> Change:
    if not len(old) or not len(new):
        return Change(math.nan, math.nan)
    before = draws(old, level, resamples, 0)
    after = draws(new, level, resamples, 0 if paired else 1)
    # From next to nothing any change is beyond what a float holds: left out below.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratios = after[1:] / before[1:] - 1.0
    ratios = ratios[np.isfinite(ratios)]
    if len(old) < 2 or len(new) < 2 or not len(ratios):
        return Change(float(before[0]), float(after[0]))
    low, high = np.quantile(ratios, (0.025, 0.975))
    return Change(float(before[0]), float(after[0]), float(low), float(high))


def draws(times: Floats, level: float | None, resamples: int, seed: int) -> Floats:
    """[1 + resamples] the mean or a quantile: of all times [n], then of blocks drawn from them."""
    n = len(times)
    count = min(n, max(10, min(_BLOCKS, n // 20)))
    block = np.arange(n) * count // n
    drawn = Resamples.of(count, resamples, seed)
    if level is None:
        return drawn.mean(np.bincount(block, times, count), np.bincount(block, minlength=count))
    found = np.empty(1 + resamples)
    found[0] = np.quantile(times, level)
    found[1:] = _quantiles(times, block, drawn.weights[1:], level)
    return found


def _quantiles(times: Floats, block: Ints, weights: Weights, level: float) -> Floats:
    """[b] a quantile of the times [n] on each of b resamples of their blocks."""
    n = len(times)
    slowest = np.argsort(-times, kind="stable")
    allowed = (1.0 - level) * (weights @ np.bincount(block).astype(weights.dtype))
    # High quantiles lie among the slowest few, unless a resample has slow blocks alone.
    for few in (min(n, int(_FEW * (1.0 - level) * n) + 1), n):
        ranked, own = times[slowest[:few]], block[slowest[:few]]
        found = np.empty(len(weights))
        last = 0
        many = max(_AT_ONCE // few, 1)
        for start in range(0, len(weights), many):
            rows = slice(start, start + many)
            drawn = weights[rows][:, own]
            # How many of the drawn requests are slower than each.
            slower = np.cumsum(drawn, axis=1, dtype=np.float64) - drawn
            at = (slower <= allowed[rows, None]).sum(axis=1) - 1
            found[rows], last = ranked[at], max(last, int(at.max()))
        if last < few - 1:
            break
    return found
