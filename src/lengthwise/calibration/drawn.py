"""A workload drawn from histograms: what a running server tells of its requests."""

from __future__ import annotations

import math

import numpy as np

from lengthwise.calibration.scrape import Histogram
from lengthwise.core.arrays import Floats, Rng
from lengthwise.workload.workload import Tokens

_STEEPEST = 20.0


def draw_lengths(histogram: Histogram, n: int, rng: Rng) -> Tokens:
    """n lengths in tokens, at least 1, by a histogram's buckets and mean.

    Within a bucket the logarithm is even, then bent so that the mean is the histogram's. The
    bucket without an end reaches to twice its beginning.
    """
    from scipy.optimize import brentq

    ends = histogram.edges.copy()
    starts = np.concatenate([[0.0], ends[:-1]])
    ends[-1] = max(2.0 * starts[-1], starts[-1] + 1.0) if math.isinf(ends[-1]) else ends[-1]
    bucket = rng.choice(len(ends), n, p=histogram.counts / histogram.count)
    low, high = np.maximum(starts[bucket], 1.0), np.maximum(ends[bucket], 1.0)
    place = 1.0 - rng.random(n)

    def lengths(bend: float) -> Floats:
        drawn: Floats = low * (high / low) ** (place ** math.exp(bend))
        return drawn

    def excess(bend: float) -> float:
        return float(lengths(bend).mean()) - histogram.mean

    steepest = math.log(_STEEPEST)
    most, least = excess(-steepest), excess(steepest)
    if most > 0 > least:
        bend = brentq(excess, -steepest, steepest, xtol=1e-3)
    else:
        bend = -steepest if most <= 0 else steepest
    # A bucket holds what is above the end of the one before.
    least_whole = np.floor(starts[bucket]) + 1.0
    whole: Tokens = np.maximum(np.ceil(lengths(bend) - 1e-9), least_whole).astype(np.int64)
    return whole
