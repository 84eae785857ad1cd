"""Magnus's estimate of a batch's serving time: its nearest neighbours' (arXiv 2406.04785)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lengthwise.padded.slice_time import SliceTime

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

Features = tuple[int, int, float]
"""Batch size, batch length and batch generation length, in tokens."""

_KEPT = 4096
"""Batches to learn from; older ones are forgotten, since an engine's speed drifts."""


class ServingTime:
    """k-nearest-neighbour regression on the batches that have run.

    Each feature is divided by its standard deviation. Until ``neighbours`` batches have run,
    the engine's profile is used.

    Args:
        profile: seconds of a batch, fitted before serving.
        neighbours: k.
        refresh: seconds between two fits.
    """

    def __init__(self, profile: SliceTime, neighbours: int = 5, refresh: float = 120.0) -> None:
        self._profile, self._neighbours, self._refresh = profile, neighbours, refresh
        self._seen: deque[tuple[Features, float]] = deque(maxlen=_KEPT)
        self._model: Pipeline | None = None
        self._fitted_at = -math.inf

    def saw(self, batch: Features, seconds: float) -> None:
        """Learn from a batch: its features and its seconds."""
        self._seen.append((batch, seconds))

    def __call__(self, batches: Sequence[Features], now: float) -> list[float]:
        """Estimated seconds of each batch."""
        if now - self._fitted_at >= self._refresh and len(self._seen) >= self._neighbours:
            self._fit(now)
        if self._model is None:
            return [self._profile.slice(n, length, round(steps)) for n, length, steps in batches]
        return [float(seconds) for seconds in self._model.predict(np.array(batches))]

    def _fit(self, now: float) -> None:
        # Loading scikit-learn takes a second, which commands that fit nothing need not wait for.
        from sklearn.neighbors import KNeighborsRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        features, seconds = zip(*self._seen, strict=True)
        model = make_pipeline(StandardScaler(), KNeighborsRegressor(self._neighbours))
        self._model = model.fit(np.array(features), np.array(seconds))
        self._fitted_at = now
