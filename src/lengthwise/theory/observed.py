"""A law that is a sample: measured pairs of size and prediction."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lengthwise.theory.joint import Joint, Pairs
from lengthwise.theory.quadrature import Floats


class ObservedPairs(Joint):
    """The empirical law of measured (size, prediction) pairs; all its integrals are exact sums.

    Equal predictions (rounded ones, or bins) go by arrival, as in the scheduler.

    Args:
        sizes: true sizes, [n], in any unit of work.
        predictions: [n], in the same unit.
        weights: [n], any scale; equal if None.

    Raises:
        ValueError: if the shapes differ, there is nothing, or a value is not positive.
    """

    def __init__(
        self, sizes: ArrayLike, predictions: ArrayLike, weights: ArrayLike | None = None
    ) -> None:
        x, r = np.asarray(sizes, float), np.asarray(predictions, float)
        w = np.ones_like(x) if weights is None else np.asarray(weights, float)
        if x.ndim != 1 or not len(x) or not x.shape == r.shape == w.shape:
            raise ValueError("sizes, predictions and weights must be lists of one length")
        if not all((values > 0).all() and np.isfinite(values).all() for values in (x, r, w)):
            raise ValueError("sizes, predictions and weights must be positive numbers")
        order = np.argsort(r, kind="stable")
        self._pairs = Pairs(x[order], r[order], w[order] / w.sum())
        self.knots = np.append(0.0, np.unique(r))
        self._sums = [self._cumulated(self._pairs.sizes**power) for power in range(3)]

    def below(self, r: Floats | float, power: int) -> Floats:
        return self._sums[power][np.searchsorted(self._pairs.predictions, r, side="left")]

    def upto(self, r: Floats | float, power: int) -> Floats:
        return self._sums[power][np.searchsorted(self._pairs.predictions, r, side="right")]

    def outstanding(self, r: Floats, c: float) -> Floats:
        # As r grows, each pair's S is first X - s, s the service it gets while it may be
        # interrupted, then r + (X - R) from r = R - s on, then X from r = R on. So two
        # sorted lists and the sums of 1, (X - R) and (X - R)² along them give all r at once.
        x, predictions, _ = self._pairs
        served = np.minimum(x, c * predictions)
        starts = predictions - served
        order = np.argsort(starts, kind="stable")
        begun = np.searchsorted(starts[order], r, side="right")
        ended = np.searchsorted(predictions, r, side="right")
        reaching = [
            self._cumulated(offset, order)[begun] - self._cumulated(offset)[ended]
            for offset in (np.ones_like(x), x - predictions, (x - predictions) ** 2)
        ]
        committed = self._cumulated((x - served) ** 2, order)
        total: Floats = (
            self._sums[2][ended]
            + (r**2 * reaching[0] + 2 * r * reaching[1] + reaching[2])
            + (committed[-1] - committed[begun])
        )
        return total

    def pairs(self, c: float) -> Pairs:
        return self._pairs

    def given(self, size: float, c: float) -> Pairs:
        same = self._pairs.sizes == size
        if not same.any():
            raise ValueError(f"no job of size {size} was observed")
        x, r, w = (values[same] for values in self._pairs)
        return Pairs(x, r, w / w.sum())

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        drawn = rng.choice(len(self._pairs.weights), size=n, p=self._pairs.weights)
        return self._pairs.sizes[drawn], self._pairs.predictions[drawn]

    def _cumulated(self, values: Floats, order: NDArray[np.intp] | None = None) -> Floats:
        shares = values * self._pairs.weights
        return np.append(0.0, np.cumsum(shares if order is None else shares[order]))
