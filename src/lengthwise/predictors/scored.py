"""From one score for a request to a distribution over its length."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.bins import Floats
from lengthwise.core.lengths import Lengths
from lengthwise.core.query import Query, limits
from lengthwise.predictors.base import Arrays, PromptPredictor


@dataclass(frozen=True)
class Curve:
    """Multinomial logistic regression from a score to bins.

    Attributes:
        slope, offset: [k] logits of bin i are ``offset[i] + slope[i] * score``.
    """

    slope: Floats
    offset: Floats

    @classmethod
    def fit(cls, scores: NDArray[np.floating], found: NDArray[np.int64], k: int) -> Curve:
        """From scores [n] and the bins [n] of what followed.

        The scores must be as unsure as they will be: of requests not learned from. Bins
        never seen are all but impossible.
        """
        slope, offset = np.zeros(k, dtype=np.float32), np.full(k, -30.0, dtype=np.float32)
        seen = np.unique(found)
        offset[seen] = 0.0
        if len(seen) > 1:
            from sklearn.linear_model import LogisticRegression

            # On a scale of its own the regularisation means the same for every score.
            center, spread = float(scores.mean()), max(float(scores.std()), 1e-9)
            standard = ((scores - center) / spread)[:, None]
            fitted = LogisticRegression(C=10.0, max_iter=2000).fit(standard, found)
            # Of two classes scikit-learn only fits the second against the first.
            bins = seen if len(seen) > 2 else seen[1:]
            slope[bins] = fitted.coef_[:, 0] / spread
            offset[bins] = fitted.intercept_ - slope[bins] * center
        return cls(slope, offset)

    def probabilities(self, scores: NDArray[np.floating]) -> Floats:
        """[n] -> [n, k]."""
        logits = self.offset + self.slope * np.asarray(scores, dtype=np.float32)[:, None]
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        return shares

    def arrays(self) -> Arrays:
        """For a predictor's state."""
        return {"slope": self.slope, "offset": self.offset}

    @classmethod
    def restore(cls, arrays: Arrays, k: int) -> Curve:
        """From a predictor's state.

        Raises:
            KeyError, ValueError: if it is not there, or not over k bins.
        """
        curve = cls(*(arrays[name].astype(np.float32) for name in ("slope", "offset")))
        if curve.slope.shape != (k,) or curve.offset.shape != (k,):
            raise ValueError(f"a curve over {k} bins needs as many slopes and offsets")
        return curve


class ScorePredictor(PromptPredictor):
    """A predictor whose model gives one number; a curve makes a distribution of it."""

    curve: Curve

    @abstractmethod
    def scores(self, asked: Sequence[Query]) -> Floats:
        """The model's number for each request, [n]: smaller is shorter."""

    def lengths(self, asked: Sequence[Query]) -> Lengths:
        """Distributions over the bins from the scores, [n]."""
        return Lengths.of(self.bins, self.curve.probabilities(self.scores(asked)), limits(asked))


def ranks(tokens: NDArray[np.number]) -> NDArray[np.float64]:
    """Each length's rank as a share, 0 shortest to 1 longest: lengths are too skewed for L2."""
    shares: NDArray[np.float64] = np.searchsorted(np.sort(tokens), tokens, side="right") / len(
        tokens
    )
    return shares
