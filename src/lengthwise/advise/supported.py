"""What a trace itself tells about answers: their lengths, from what is known at arrival."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lengthwise.core.arrays import Floats
from lengthwise.report.charts.calibration import pairs_right
from lengthwise.workload.workload import Tokens, Workload

_FIRST = 300
"""Requests before the first prediction: fewer tell nothing."""

_GROWTH = 2.0
"""The model is fitted anew when there are so many times as many requests."""

_MOST = 50_000
"""Requests that a model is fitted to, the latest."""

_SURE = 3.0
"""Standard errors by which the share of pairs that are ordered right must exceed one half."""


@dataclass(frozen=True, eq=False)
class Supported:
    """Predictions from prompt length, cached prefix, tenant and priority.

    Each request is predicted by a model of the requests that came before it.

    Attributes:
        predicted: [n] output tokens; NaN for the first requests.
        pairs: share of pairs of requests whose order it predicts right; one half is chance.
        error: its standard error, were the predictions worth nothing.
        of: what the predictions are made from, as part of a sentence.
    """

    predicted: Floats
    pairs: float
    error: float
    of: str

    @property
    def tells(self) -> bool:
        """Whether the predictions order requests better than chance."""
        return self.pairs - _SURE * self.error > 0.5


def supported(workload: Workload, seed: int = 0) -> Supported:
    """Predictions that a trace of n requests supports."""
    n = len(workload)
    features, names = _features(workload)
    predicted = np.full(n, np.nan)
    target = np.log(workload.output)
    start = _FIRST
    while start < n and names:
        end = min(n, int(start * _GROWTH))
        since = max(0, start - _MOST)
        predicted[start:end] = _fitted(
            features[since:start], target[since:start], features[start:end], seed
        )
        start = end
    pairs, error = _told(predicted, workload.output)
    return Supported(predicted, pairs, error, " and ".join(names) or "nothing")


def _features(workload: Workload) -> tuple[Floats, list[str]]:
    columns = {"prompt length": np.log(workload.prompt)}
    if workload.prefix.any():
        columns["cached prefix"] = np.log1p(workload.prefix)
    if workload.tenant:
        names, code = np.unique([each or "" for each in workload.tenant], return_inverse=True)
        if len(names) > 1:
            columns["tenant"] = code.astype(np.float64)
    if len(np.unique(workload.priority)) > 1:
        columns["priority"] = workload.priority.astype(np.float64)
    there = {name: each for name, each in columns.items() if np.ptp(each) > 0}
    if not there:
        return np.zeros((len(workload), 0)), []
    return np.column_stack(list(there.values())), list(there)


def _fitted(known: Floats, target: Floats, new: Floats, seed: int) -> Floats:
    """Mean tokens: the mean logarithm, and the mean factor around it."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingRegressor(
        max_iter=60, max_leaf_nodes=16, min_samples_leaf=30, random_state=seed
    )
    # Threads of OpenMP cost more than they save on so little, and much where cores are busy.
    with threadpool_limits(1):
        model.fit(known, target)
        around = float(np.mean(np.exp(target - model.predict(known))))
        found: Floats = np.maximum(np.exp(model.predict(new)) * around, 1.0)
    return found


def _told(predicted: Floats, output: Tokens) -> tuple[float, float]:
    """The share of pairs right, and its standard error if the predictions were worth nothing.

    A mean over the pairs of n requests varies at most as one over n/2 independent pairs
    (Hoeffding), each of which is right with a chance of one half.
    """
    there = ~np.isnan(predicted)
    n = int(there.sum())
    right = pairs_right(predicted[there], output[there]) if n > 1 else math.nan
    return (0.5, math.inf) if math.isnan(right) else (right, math.sqrt(0.5 / n))
