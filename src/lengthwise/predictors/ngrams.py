"""Output length from the prompt alone: hashed n-grams of token ids, and a ridge.

Waiting requests have no hidden state yet; this ranks them until prefill. It reads
token ids, so it needs no tokenizer, and costs microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.bins import Bins, Floats
from lengthwise.core.query import Query
from lengthwise.predictors.base import Arrays, Fitting, Reads
from lengthwise.predictors.scored import Curve, ScorePredictor, ranks

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from lengthwise.answers.arrays import Answers

BUCKETS = 1 << 14
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

ALPHA = 0.5
"""Strength of the ridge; half to two differ by 0.01 in Kendall's τ."""


def buckets(prompt_ids: list[int], longest: int = 1024) -> NDArray[np.int64]:
    """Hashed unigrams and bigrams of a prompt's first ``longest`` ids: [m] in [0, BUCKETS)."""
    ids = np.asarray(prompt_ids[:longest], dtype=np.uint64) + np.uint64(1)
    bigrams = ids[:-1] * np.uint64(0x1_0000_01B3) + ids[1:]
    mixed = np.concatenate([ids, bigrams + (np.uint64(1) << np.uint64(40))]) * _MULTIPLIER
    return np.unique(mixed >> np.uint64(64 - 14)).astype(np.int64)


class Ngrams(ScorePredictor):
    """A ridge on tf-idf n-grams scores the prompt; a curve turns the score into bins.

    The score estimates the length's rank among the training prompts (0 shortest, 1
    longest).

    Args:
        bins: [k] of total output tokens.
        curve: from scores to bins.
        idf: [BUCKETS] inverse document frequencies.
        weight: [BUCKETS] the ridge's weights.
        intercept: of the ridge.
    """

    name: ClassVar[str] = "ngrams"
    reads: ClassVar[Reads] = "ids"
    tunes: ClassVar[bool] = False

    def __init__(
        self, bins: Bins, curve: Curve, idf: Floats, weight: Floats, intercept: float
    ) -> None:
        self.bins, self.curve = bins, curve
        self.idf, self.weight, self.intercept = idf, weight, intercept

    @classmethod
    def fit(cls, fit: Answers, tune: Answers, bins: Bins, how: Fitting) -> Self:
        """A ridge on ranks; the curve from scores that each fold's ridge had not seen.

        An answer cut at the cap counts with the cap: for the rank that is all that matters.
        """
        # Predicting needs no scikit-learn, and an engine that starts need not wait for it.
        from sklearn.feature_extraction.text import TfidfTransformer
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import cross_val_predict

        grams = matrix([each.prompt_ids for each in fit.asked])
        tfidf = TfidfTransformer().fit(grams)
        features, rank = tfidf.transform(grams), ranks(fit.tokens)
        ridge = Ridge(ALPHA).fit(features, rank)
        unseen = cross_val_predict(Ridge(ALPHA), features, rank, cv=min(5, len(fit)))
        return cls(
            bins,
            Curve.fit(unseen, bins.index(fit.tokens), len(bins)),
            tfidf.idf_.astype(np.float32),
            ridge.coef_.astype(np.float32),
            float(ridge.intercept_),
        )

    def score(self, prompt_ids: list[int]) -> float:
        """Estimated rank of the prompt's output length, about 0 to 1."""
        return weigh(prompt_ids, self.idf, self.weight) + self.intercept

    def scores(self, asked: Sequence[Query]) -> Floats:
        """Estimated ranks, [n]."""
        return np.array([self.score(each.prompt_ids) for each in asked], dtype=np.float32)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The intercept; idf, weights and curve."""
        rounded = {"idf": self.idf.astype(np.float16), "weight": self.weight.astype(np.float16)}
        arrays = rounded | self.curve.arrays()
        return {"intercept": self.intercept}, arrays

    @classmethod
    def restore(cls, bins: Bins, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The predictor that ``state`` described."""
        idf, weight = (arrays[name].astype(np.float32) for name in ("idf", "weight"))
        if idf.shape != (BUCKETS,) or weight.shape != (BUCKETS,):
            raise ValueError(f"idf and weight must have {BUCKETS} entries")
        curve = Curve.restore(arrays, len(bins))
        return cls(bins, curve, idf, weight, float(settings["intercept"]))


def weigh(prompt_ids: list[int], idf: Floats, weight: Floats) -> float:
    """A ridge's output for the tf-idf n-grams of a prompt, without its intercept."""
    found = buckets(prompt_ids)
    shares = idf[found]
    norm = float(np.sqrt(np.square(shares).sum())) or 1.0
    return float((shares * weight[found]).sum()) / norm


def matrix(prompts: list[list[int]]) -> csr_matrix:
    """Which bucket each prompt has: [n, BUCKETS] ones."""
    from scipy.sparse import csr_matrix

    found = [buckets(prompt) for prompt in prompts]
    rows = np.repeat(np.arange(len(prompts)), [len(one) for one in found])
    columns = np.concatenate(found)
    return csr_matrix((np.ones(len(rows)), (rows, columns)), (len(prompts), BUCKETS))
