"""What finished requests teach a router: how wrong predictions are, and the remaining tokens."""

from __future__ import annotations

import math

_ROOT2 = math.sqrt(2.0)
_PRIOR_WEIGHT = 20.0
_HALF_LIFE = 2000.0
"""Requests after which the weight of an earlier one has halved."""


class Hindsight:
    """Learns from finished requests what a prediction stands for: a line through logarithms.

    Total tokens are log-normal around it. A slope below 1 pulls noisy predictions towards
    the mean: many of the longest predictions are errors.

    Args:
        spread: standard deviation of log(tokens / predicted) before anything was learned.
        typical: tokens of an answer without a prediction, likewise.
    """

    def __init__(self, spread: float = 0.6, typical: float = 200.0) -> None:
        self._weight = _PRIOR_WEIGHT
        # Means, variances and covariance of x = log(predicted) and y = log(tokens).
        self._x = self._y = math.log(typical)
        self._xx = self._xy = 1.0
        self._yy = 1.0 + spread * spread
        self._typical = typical
        self._counted = 1.0

    @property
    def spread(self) -> float:
        """Standard deviation of log(tokens) around the line."""
        return math.sqrt(max(self._yy - self._slope * self._xy, 0.0))

    @property
    def _slope(self) -> float:
        return self._xy / self._xx

    def learn(self, predicted: float, tokens: float) -> None:
        """A request predicted ``predicted`` tokens (NaN: unknown) ended after ``tokens``."""
        self._counted += 1.0
        self._typical += (max(tokens, 1.0) - self._typical) / min(self._counted, _HALF_LIFE)
        if not predicted > 0.0:
            return
        self._weight = min(self._weight + 1.0, _HALF_LIFE)
        share = 1.0 / self._weight
        dx = math.log(max(predicted, 1.0)) - self._x
        dy = math.log(max(tokens, 1.0)) - self._y
        self._x += share * dx
        self._y += share * dy
        keep = 1.0 - share
        self._xx = keep * (self._xx + share * dx * dx)
        self._xy = keep * (self._xy + share * dx * dy)
        self._yy = keep * (self._yy + share * dy * dy)

    def _median(self, predicted: float) -> float:
        if not predicted > 0.0:
            return self._typical
        return math.exp(self._y + self._slope * (math.log(max(predicted, 1.0)) - self._x))

    def left(self, predicted: float, generated: float) -> float:
        """Expected tokens to come, given that the answer has not ended: E[X - a | X > a].

        At least 1. The closed form of the log-normal's mean excess.
        """
        median, spread = self._median(predicted), max(self.spread, 1e-3)
        if generated <= 0.0:
            return max(median * math.exp(0.5 * spread * spread), 1.0)
        z = math.log(generated / median) / spread
        if z > 6.0:
            # Far in the tail both probabilities vanish; the mean excess tends to this.
            return max(generated * spread / z, 1.0)
        alive = math.erfc(z / _ROOT2)
        mean = median * math.exp(0.5 * spread * spread) * math.erfc((z - spread) / _ROOT2)
        return max(mean / alive - generated, 1.0)
