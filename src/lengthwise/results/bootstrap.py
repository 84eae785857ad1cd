"""Bootstrap over prompts: one set of resamples for every predictor, all of it at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Draws = NDArray[np.float64]
"""[1 + b] a figure on all prompts, then on each of b resamples of them."""


@dataclass(frozen=True)
class Resamples:
    """How often each of n prompts counts.

    Figures from the same resamples are paired: their ratios and differences, draw by
    draw, have the intervals of a ratio or a difference.

    Attributes:
        weights: [1 + b, n] once each in the first row, then as the resamples drew them.
    """

    weights: NDArray[np.float32]

    @classmethod
    def of(cls, n: int, b: int = 1000, seed: int = 0) -> Resamples:
        """b times n prompts, drawn with replacement."""
        drawn = np.random.default_rng([seed, 4]).multinomial(n, np.full(n, 1.0 / n), size=b)
        return cls(np.vstack([np.ones((1, n)), drawn]).astype(np.float32))

    def mean(self, top: NDArray[Any], bottom: NDArray[Any] | None = None) -> Draws:
        """Sum of ``top`` over sum of ``bottom``, each [n] and one entry a prompt.

        Without ``bottom`` each prompt counts as one; where it adds up to 0, NaN.
        """
        below = np.ones(len(top)) if bottom is None else bottom
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio: Draws = (self.weights @ np.float64(top)) / (self.weights @ np.float64(below))
        return ratio

    def of_rows(self, values: NDArray[Any], prompt: NDArray[np.int64]) -> Draws:
        """Mean over rows that belong to prompts: values and prompt numbers, each [rows]."""
        n = self.weights.shape[1]
        return self.mean(np.bincount(prompt, values, n), np.bincount(prompt, minlength=n))

    def pairs(self, matrix: NDArray[Any]) -> Draws:
        """Sum over all ordered pairs of prompts of the matrix's entries [n, n]."""
        once = self.weights @ matrix.astype(np.float32)
        total: Draws = np.einsum("bi,bi->b", once, self.weights, dtype=np.float64)
        return total


def interval(draws: Draws) -> dict[str, float | None]:
    """The figure and its 95 % percentile interval; None where it is not defined."""
    value = float(draws[0])
    drawn = draws[1:][np.isfinite(draws[1:])]
    if not np.isfinite(value):
        return {"value": None, "low": None, "high": None}
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (None, None)
    return {
        "value": round(value, 4),
        "low": None if low is None else round(float(low), 4),
        "high": None if high is None else round(float(high), 4),
    }
