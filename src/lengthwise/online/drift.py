"""Whether predictions have become worse: the Page-Hinkley test on their errors."""

from __future__ import annotations

import math


def log_error(predicted: float, tokens: int) -> float:
    """|log(1 + predicted) - log(1 + tokens)|: a prediction's error as a logarithm, at least 0."""
    return abs(math.log1p(max(predicted, 0.0)) - math.log1p(tokens))


class PageHinkley:
    """Detects a risen mean of a sequence (Page 1954; Gama et al. 2014, section 3.2).

    Sums how far the values lie above their mean so far, less a tolerance, in standard
    deviations; drift is when the sum has risen by ``threshold`` above its minimum. It begins
    again after that.

    With the defaults, on independent errors of constant distribution (exponential or
    log-normal) it fires less than once in 20,000; a rise by one standard deviation is found
    within about 100 (``tests/online/test_drift.py``).

    Args:
        tolerance: rise of the mean to be ignored, in standard deviations.
        threshold: in standard deviations; higher is later, with fewer false alarms.
        warm_up: values to estimate mean and deviation from, before any alarm.
    """

    def __init__(
        self, tolerance: float = 0.25, threshold: float = 40.0, warm_up: int = 100
    ) -> None:
        self._tolerance, self._threshold, self._warm_up = tolerance, threshold, warm_up
        self.reset()

    def reset(self) -> None:
        """Begin again: the usual mean and deviation are learned anew."""
        self.count, self.mean, self._squares = 0, 0.0, 0.0
        self._sum = self._lowest = 0.0

    def add(self, value: float) -> bool:
        """One more value; True if the mean has risen."""
        self.count += 1
        if self.count > self._warm_up:
            # As known before this value, which may be the first of another kind.
            deviation = math.sqrt(self._squares / max(self.count - 2, 1))
            self._sum += (value - self.mean) / max(deviation, 1e-9) - self._tolerance
            self._lowest = min(self._lowest, self._sum)
        off = value - self.mean
        self.mean += off / self.count
        self._squares += off * (value - self.mean)
        if self._sum - self._lowest <= self._threshold:
            return False
        self.reset()
        return True
