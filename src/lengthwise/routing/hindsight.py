"""What finished requests teach a router: how wrong predictions are, and what is left of one."""

from __future__ import annotations

import math

_ROOT2 = math.sqrt(2.0)
_PRIOR_WEIGHT = 20.0
_HALF_LIFE = 2000.0
"""Requests after which what was learned of one counts half."""


class Hindsight:
    """Learns bias and spread of predictions, as logarithms, from requests that ended.

    Total tokens are thought log-normal around the corrected prediction: real predictors err
    by factors, and an answer that outlived its prediction may go on for long.

    Args:
        spread: standard deviation of log(tokens / predicted) before anything was learned.
        typical: tokens of an answer that nobody predicted, likewise.
    """

    def __init__(self, spread: float = 0.6, typical: float = 200.0) -> None:
        self._weight = _PRIOR_WEIGHT
        self._mean = 0.0
        self._square = spread * spread
        self._typical = typical
        self._counted = 1.0
        self.spread = spread

    def learn(self, predicted: float, tokens: float) -> None:
        """A request that was predicted so (NaN: not at all) ended after so many tokens."""
        self._counted += 1.0
        self._typical += (max(tokens, 1.0) - self._typical) / min(self._counted, _HALF_LIFE)
        if not predicted > 0.0:
            return
        error = math.log(max(tokens, 1.0) / max(predicted, 1.0))
        self._weight = min(self._weight + 1.0, _HALF_LIFE)
        self._mean += (error - self._mean) / self._weight
        self._square += ((error - self._mean) ** 2 - self._square) / self._weight
        self.spread = math.sqrt(self._square)

    def left(self, predicted: float, generated: float) -> float:
        """Expected tokens to come, given that the answer has not ended: E[X - a | X > a].

        At least 1. The closed form of the log-normal's mean excess.
        """
        median = predicted * math.exp(self._mean) if predicted > 0.0 else self._typical
        spread = max(self.spread, 1e-3)
        if generated <= 0.0:
            return max(median * math.exp(0.5 * spread * spread), 1.0)
        z = math.log(generated / median) / spread
        if z > 6.0:
            # Far in the tail both probabilities vanish; the mean excess tends to this.
            return max(generated * spread / z, 1.0)
        alive = math.erfc(z / _ROOT2)
        mean = median * math.exp(0.5 * spread * spread) * math.erfc((z - spread) / _ROOT2)
        return max(mean / alive - generated, 1.0)
