"""Pairs right: of two requests, how often a prediction says which is the longer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.arrays import Floats

_CONFIDENCE = 1.96
"""Standard errors of a 95 % confidence interval."""

_SURE = 3.0
"""Standard errors by which a gain must exceed 0. A version is looked at up to ten
times: with 1.96 one worthless version in nine would look better at some time, with this one in a
hundred (``tests/online/test_pairs.py``)."""


@dataclass(frozen=True)
class Share:
    """A share of pairs, as n requests estimate it.

    Attributes:
        value: NaN if no two of the requests can be told apart.
        error: its standard error.
        requests: n.
    """

    value: float
    error: float
    requests: int

    @property
    def low(self) -> float:
        """Lower end of the 95 % confidence interval."""
        return max(self.value - _CONFIDENCE * self.error, 0.0)

    @property
    def high(self) -> float:
        """Upper end of the 95 % confidence interval."""
        return min(self.value + _CONFIDENCE * self.error, 1.0)

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class KnownLengths:
    """n requests whose lengths are known, by which predictions are judged.

    A pair counts if its order is certain: the lengths differ, and the smaller is not a lower
    bound, as that of a cut answer is.

    Args:
        tokens: [n] output tokens.
        cut: [n] whether each is a lower bound.
    """

    def __init__(self, tokens: NDArray[np.int64], cut: NDArray[np.bool_]) -> None:
        less = (tokens[:, None] < tokens) & ~cut[:, None]
        # 1 where the first is the shorter, -1 where it is the longer, 0 for no order.
        self._order = less.astype(np.int8) - less.T.astype(np.int8)
        self._certain = np.abs(self._order).sum(axis=1, dtype=np.float64)

    def __len__(self) -> int:
        return len(self._certain)

    def right(self, predicted: Floats) -> Share:
        """The share of pairs that predictions [n] order right.

        Pairs that are predicted alike, or of which one is not predicted (NaN), count half.
        """
        return self._share(self._scores(predicted) + 0.5 * self._certain)

    def gain(self, new: Floats, old: Floats) -> Share:
        """How many more pairs the new predictions [n] order right than the old, as a share."""
        return self._share(self._scores(new) - self._scores(old))

    def better(self, new: Floats, old: Floats) -> bool:
        """Whether the new predictions order more pairs right, beyond doubt."""
        gain = self.gain(new, old)
        return gain.value - _SURE * gain.error > 0.0

    def _scores(self, predicted: Floats) -> Floats:
        """[n] half the pairs of each request that are right, less half those that are wrong."""
        said = predicted[None, :] - predicted[:, None]
        with np.errstate(invalid="ignore"):
            sign = np.sign(said)
        np.nan_to_num(sign, copy=False)
        found: Floats = 0.5 * (sign * self._order).sum(axis=1)
        return found

    def _share(self, scores: Floats) -> Share:
        """A mean over pairs; its error by Hájek's projection: what each request adds to it."""
        pairs, n = float(self._certain.sum()), len(scores)
        if not pairs or n < 2:
            return Share(math.nan, math.inf, n)
        value = float(scores.sum()) / pairs
        spread = float(np.square(scores - value * self._certain).sum()) * n / (n - 1)
        return Share(value, 2.0 * math.sqrt(spread) / pairs, n)
