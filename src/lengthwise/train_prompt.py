"""Fitting the prompt predictor with scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_predict

from lengthwise.core.bins import Bins
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
    slope, offset = np.zeros(len(bins)), np.full(len(bins), -30.0)
    found = bins.index(tokens)
    if len(np.unique(found)) == 1:
        offset[found[0]] = 0.0
        return _predictor(bins, tfidf, ridge, slope, offset)
    softmax = LogisticRegression(C=100.0, max_iter=1000).fit(unseen[:, None], found)
    if len(softmax.classes_) == 2:
        slope[softmax.classes_] = [0.0, softmax.coef_[0, 0]]
        offset[softmax.classes_] = [0.0, softmax.intercept_[0]]
    else:
        slope[softmax.classes_] = softmax.coef_[:, 0]
        offset[softmax.classes_] = softmax.intercept_
    return _predictor(bins, tfidf, ridge, slope, offset)


def _predictor(
    bins: Bins,
    tfidf: TfidfTransformer,
    ridge: Ridge,
    slope: NDArray[np.floating],
    offset: NDArray[np.floating],
) -> PromptPredictor:
    return PromptPredictor(
        bins,
        tfidf.idf_.astype(np.float32),
        ridge.coef_.astype(np.float32),
        float(ridge.intercept_),
        slope.astype(np.float32),
        offset.astype(np.float32),
    )


def _matrix(prompts: list[list[int]]) -> csr_matrix:
    found = [buckets(prompt) for prompt in prompts]
    rows = np.repeat(np.arange(len(prompts)), [len(one) for one in found])
    columns = np.concatenate(found)
    return csr_matrix((np.ones(len(rows)), (rows, columns)), (len(prompts), BUCKETS))
