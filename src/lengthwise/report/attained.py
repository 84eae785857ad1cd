"""How many requests of each class got what they are promised, with intervals over requests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lengthwise.core.arrays import Floats
from lengthwise.core.service import Classes
from lengthwise.report.change import RESAMPLES, draws, matched
from lengthwise.report.served import Served
from lengthwise.results.attainment import Judged, judge

_NONE_SEEN = 3.0
"""Of n requests that all met or all missed, so many in n may still do otherwise (95 %)."""


@dataclass(frozen=True)
class Attained:
    """What a class got of a run.

    Attributes:
        requests: of the class in the run.
        share: of them, those that finished and met every target; NaN of no requests.
        low, high: its 95 % interval.
    """

    requests: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Shift:
    """How the share of a class changed from one run to another.

    Attributes:
        before, after: shares; NaN of no requests.
        low, high: 95 % interval of their difference; NaN where there is none.
    """

    before: float
    after: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether the interval of the difference does not contain 0."""
        return self.low > 0.0 or self.high < 0.0

    @property
    def between(self) -> str:
        """The interval in percentage points: ``+9.8 to +14.2 points``; or that there is none."""
        if math.isnan(self.low):
            return "no interval"
        return f"{100.0 * self.low:+.1f} to {100.0 * self.high:+.1f} points"

    def __str__(self) -> str:
        """In percentage points: ``+12.3 points (+9.8 to +14.2)``."""
        if math.isnan(self.after - self.before):
            return "not known"
        points = f"{100.0 * (self.after - self.before):+.1f} points"
        if math.isnan(self.low):
            return points
        return f"{points} ({self.between.removesuffix(' points')})"


def judged(served: Served, classes: Classes) -> Judged:
    """A run's requests against what their classes are promised."""
    return judge(served.ttft, served.latency, served.output, served.service, classes)


def attained(served: Served, classes: Classes) -> dict[str, Attained]:
    """By the class's name. Requests in a row share their fate: blocks of them are resampled."""
    found = judged(served, classes)
    return {
        each.name: _attained(found.met[found.place == number].astype(np.float64))
        for number, each in enumerate(classes.all)
    }


def shifts(before: Served, after: Served, classes: Classes) -> dict[str, Shift]:
    """The changes from one run to another, by the class's name.

    The same blocks are drawn of both if they served the same requests at the same times.
    """
    both = matched(before, after)
    first, second = (judged(each, classes) for each in (before, after))
    found = {}
    for number, each in enumerate(classes.all):
        own = (first.place == number, second.place == number)
        if both is None:
            old, new = first.met[own[0]], second.met[own[1]]
        else:
            left, right = (index[first.place[both[0]] == number] for index in both)
            old, new = first.met[left], second.met[right]
        found[each.name] = _shift(old.astype(float), new.astype(float), both is not None)
    return found


def _attained(met: Floats) -> Attained:
    n = len(met)
    if not n:
        return Attained(0, math.nan, math.nan, math.nan)
    share = float(met.mean())
    low, high = np.quantile(draws(met, None, RESAMPLES, 0)[1:], (0.025, 0.975))
    rest = min(_NONE_SEEN / n, 1.0)
    if share == 1.0:
        low = 1.0 - rest
    if share == 0.0:
        high = rest
    return Attained(n, share, float(low), float(high))


def _shift(old: Floats, new: Floats, paired: bool) -> Shift:
    if not len(old) or not len(new):
        shares = [float(each.mean()) if len(each) else math.nan for each in (old, new)]
        return Shift(shares[0], shares[1], math.nan, math.nan)
    before = draws(old, None, RESAMPLES, 0)
    after = draws(new, None, RESAMPLES, 0 if paired else 1)
    low, high = np.quantile(after[1:] - before[1:], (0.025, 0.975))
    return Shift(float(before[0]), float(after[0]), float(low), float(high))


def promised_anything(classes: Classes | None, served: Sequence[Served]) -> bool:
    """Whether there are classes, and requests that are in them."""
    return classes is not None and any(len(each.service) for each in served)
