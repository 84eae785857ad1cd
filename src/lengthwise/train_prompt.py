"""Fitting the prompt predictor with scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_predict

from lengthwise.core.bins import Bins, Floats
from lengthwise.predictors.prompt import BUCKETS, PromptPredictor, buckets

ALPHA = 0.5
"""Strength of the ridge; half to two differ by 0.01 in Kendall's τ."""


def fit_prompt_predictor(
    prompts: list[list[int]], tokens: NDArray[np.int64], bins: Bins
) -> PromptPredictor:
    """Learn from prompts' token ids and their answers' lengths [n].

    An answer cut at the cap counts with the cap: for the rank that is all that matters.
    """
    grams = _matrix(prompts)
    tfidf = TfidfTransformer().fit(grams)
    features = tfidf.transform(grams)
    rank = np.searchsorted(np.sort(tokens), tokens, side="right") / len(tokens)
    ridge = Ridge(ALPHA).fit(features, rank)
    # The softmax must see scores as unsure as they will be on new prompts.
    unseen = cross_val_predict(Ridge(ALPHA), features, rank, cv=min(5, len(prompts)))
    slope, offset = _softmax(unseen, bins.index(tokens), len(bins))
    return PromptPredictor(
        bins,
        tfidf.idf_.astype(np.float32),
        ridge.coef_.astype(np.float32),
        float(ridge.intercept_),
        slope,
        offset,
    )


def _softmax(
    scores: NDArray[np.floating], found: NDArray[np.int64], k: int
) -> tuple[Floats, Floats]:
    """Slope and offset [k] of each bin's logit; bins never seen are all but impossible."""
    slope, offset = np.zeros(k, dtype=np.float32), np.full(k, -30.0, dtype=np.float32)
    seen = np.unique(found)
    offset[seen] = 0.0
    if len(seen) > 1:
        fitted = LogisticRegression(C=100.0, max_iter=1000).fit(scores[:, None], found)
        # Of two classes scikit-learn only fits the second against the first.
        fitted_bins = seen if len(seen) > 2 else seen[1:]
        slope[fitted_bins] = fitted.coef_[:, 0]
        offset[fitted_bins] = fitted.intercept_
    return slope, offset


def _matrix(prompts: list[list[int]]) -> csr_matrix:
    found = [buckets(prompt) for prompt in prompts]
    rows = np.repeat(np.arange(len(prompts)), [len(one) for one in found])
    columns = np.concatenate(found)
    return csr_matrix((np.ones(len(rows)), (rows, columns)), (len(prompts), BUCKETS))
