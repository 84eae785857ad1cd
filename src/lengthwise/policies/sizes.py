"""Expected answers, learned from what finished: any predictor put right, or none needed."""

from __future__ import annotations

import math
from collections import defaultdict

from lengthwise.core.request import Request

_BIN = math.log(1.25)
"""Width of a bin of predictions: a quarter, far finer than the errors of predictions."""

_FEW = 10
"""Finished requests of a bin that count as much as the line through all."""

_GUESS = 200.0
"""Tokens of an answer before any has finished."""


class Average:
    """A mean over about the last ``memory`` values."""

    __slots__ = ("_memory", "count", "mean")

    def __init__(self, memory: int, mean: float = 0.0, count: float = 0.0) -> None:
        self._memory = memory
        self.mean = mean
        self.count = count

    def add(self, value: float) -> None:
        """Another value; the oldest fade."""
        self.count = min(self.count + 1.0, self._memory)
        self.mean += (value - self.mean) / self.count


class LogLine:
    """Lengths as a line of predictions, both as logarithms; at first each equals the other.

    Args:
        memory: about how many of the last finished requests count.
        trust: as how many requests the first line counts.
    """

    def __init__(self, memory: int = 2000, trust: float = 20.0) -> None:
        self._kept = 1.0 - 1.0 / memory
        centre = math.log(_GUESS)
        self._n = trust
        self._x = self._y = trust * centre
        self._xx = self._xy = trust * (centre * centre + 1.0)
        # A line through logarithms gives a median; this ratio makes a mean of it.
        self._true = self._drawn = trust * _GUESS

    def at(self, prediction: float) -> float:
        """Expected length in tokens."""
        return self._median(prediction) * self._true / self._drawn

    def add(self, prediction: float, length: float) -> None:
        """A request finished with this length."""
        drawn, kept = self._median(prediction), self._kept
        self._true = kept * self._true + length
        self._drawn = kept * self._drawn + drawn
        x, y = math.log(prediction), math.log(length)
        self._n = kept * self._n + 1.0
        self._x = kept * self._x + x
        self._y = kept * self._y + y
        self._xx = kept * self._xx + x * x
        self._xy = kept * self._xy + x * y

    def _median(self, prediction: float) -> float:
        x, y = self._x / self._n, self._y / self._n
        spread = self._xx / self._n - x * x
        # Predictions that are all alike have no slope to learn.
        slope = (self._xy / self._n - x * y) / spread if spread > 1e-6 else 0.0
        return math.exp(min(y + slope * (math.log(prediction) - x), 50.0))


class Sizes:
    """Expected output tokens of requests, given what was predicted of them.

    The mean of what finished with a prediction in the same bin, as far as that is known, and
    a line through all bins. Without a prediction it is the mean of everything that finished.
    """

    def __init__(self) -> None:
        self._all = Average(2000, _GUESS, 1.0)
        self._line = LogLine()
        self._bins: defaultdict[int, Average] = defaultdict(lambda: Average(300))
        self._longest = 1.0

    def expected(self, prediction: float | None) -> float:
        """Expected answer in tokens, at least 1 and at most what was ever seen, or 8 means."""
        if prediction is None or not 0 < prediction < math.inf:
            return self._all.mean
        line = self._line.at(prediction)
        here = self._bins.get(_bin(prediction))
        if here is not None:
            line = (here.count * here.mean + _FEW * line) / (here.count + _FEW)
        return max(min(line, max(self._longest, 8 * self._all.mean)), 1.0)

    def answer(self, request: Request) -> float:
        """Expected answer of a request, within the bounds that its parameters set."""
        expected = self.expected(request.initial)
        return max(min(expected, request.most_tokens), request.least_tokens)

    def learn(self, prediction: float | None, tokens: int) -> None:
        """A request of which this was predicted finished with so many output tokens."""
        length = float(max(tokens, 1))
        self._all.add(length)
        self._longest = max(self._longest, length)
        if prediction is not None and 0 < prediction < math.inf:
            self._line.add(prediction, length)
            self._bins[_bin(prediction)].add(length)


def _bin(prediction: float) -> int:
    return round(math.log(prediction) / _BIN)
