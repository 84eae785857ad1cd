"""How a figure changes from one run to another of the same requests, with an interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.arrays import Floats

_BLOCKS = 40
"""Parts of the trace, in order of arrival, that resamples draw: requests of one time wait for
each other, so they are drawn together."""

_TAIL = 0.1
"""Share of the requests, the slowest, among which a 99th percentile is looked for."""


@dataclass(frozen=True)
class Ratio:
    """A figure as a ratio to another run's, and its 95 % interval over resamples."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"

    @property
    def less(self) -> bool:
        """Whether it is below 1, beyond doubt."""
        return self.high < 1.0

    @property
    def more(self) -> bool:
        """Whether it is above 1, beyond doubt."""
        return self.low > 1.0


class Resamples:
    """b times the blocks of n requests, drawn with replacement; the same for all figures.

    Args:
        n: requests, in order of arrival.
        seed: of the draws.
    """

    def __init__(self, n: int, b: int = 400, seed: int = 0) -> None:
        k = min(_BLOCKS, n)
        self._block = (np.arange(n) * k) // n
        drawn = np.random.default_rng([seed, 18]).multinomial(k, np.full(k, 1.0 / k), size=b)
        self._weights: NDArray[np.float64] = np.vstack([np.ones((1, k)), drawn]).astype(np.float64)

    def mean(self, new: Floats, old: Floats) -> Ratio:
        """Ratio of the means of two figures of the requests, each [n], without NaN."""
        top, bottom = (
            self._weights @ np.bincount(self._block, each, self._weights.shape[1])
            for each in (new, old)
        )
        return _ratio(top / bottom)

    def p99(self, new: Floats, old: Floats) -> Ratio:
        """Ratio of the 99th percentiles."""
        return _ratio(self._p99(new) / self._p99(old))

    def _p99(self, values: Floats) -> Floats:
        """[1 + b] the percentile on all, and on each resample."""
        sizes = np.bincount(self._block, minlength=self._weights.shape[1])
        beyond = 0.01 * (self._weights @ sizes)
        slowest = np.argsort(-values, kind="stable")[: max(int(_TAIL * len(values)), 1)]
        counted = np.cumsum(self._weights[:, self._block[slowest]], axis=1)
        # A resample of slow blocks alone has its percentile further down than is looked: the last.
        at = np.minimum((counted <= beyond[:, None]).sum(axis=1), len(slowest) - 1)
        found: Floats = values[slowest[at]]
        return found


def _ratio(draws: Floats) -> Ratio:
    low, high = np.quantile(draws[1:], [0.025, 0.975])
    return Ratio(float(draws[0]), float(low), float(high))
