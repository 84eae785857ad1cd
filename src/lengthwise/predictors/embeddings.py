"""Output length from the prompt alone: n-grams and the served model's token embeddings.

The served model knows which tokens mean alike, so words that no training prompt had are
understood all the same. What a ridge makes of mean embeddings is linear, so serving needs
neither the model nor a matrix: two numbers a token, looked up in microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.bins import Bins, Floats
from lengthwise.core.query import Query
from lengthwise.errors import UserError
from lengthwise.models.token_embeddings import token_embeddings
from lengthwise.predictors.base import Arrays, Fitting, Reads
from lengthwise.predictors.ngrams import BUCKETS, matrix, weigh
from lengthwise.predictors.scored import Curve, ScorePredictor, ranks

if TYPE_CHECKING:
    from lengthwise.answers.arrays import Answers

ALPHA = 1.0
"""Strength of the ridge."""

SHARE = 0.5
"""Length of the embeddings' part of the features, beside a tf-idf vector of length 1."""

OPENING = 5
"""Tokens of a prompt's opening, which holds the task: "Write a story about ..."."""

LONGEST = 1024
"""Most tokens read of a prompt."""


@dataclass(frozen=True)
class Reading:
    """How a prompt's tokens are weighted; [V] is the vocabulary.

    Attributes:
        head: tokens that every prompt begins with: the chat template's.
        rarity: [V] logarithm of how many prompts there are to one with the token.
    """

    head: int
    rarity: Floats

    @classmethod
    def of(cls, prompts: Sequence[list[int]], vocabulary: int) -> Reading:
        """What the training prompts have in common."""
        head = 0
        shortest = min(map(len, prompts))
        while head < shortest and len({each[head] for each in prompts}) == 1:
            head += 1
        found = np.zeros(vocabulary)
        for each in prompts:
            ids = np.unique(np.asarray(each[:LONGEST], dtype=np.int64))
            found[ids[ids < vocabulary]] += 1
        return cls(head, np.log((1 + len(prompts)) / (1 + found)).astype(np.float32))

    def parts(self, prompt_ids: list[int]) -> list[tuple[NDArray[np.int64], Floats]]:
        """Tokens and their weights, of the whole prompt and of its opening.

        Tokens that every prompt has, such as the template's, weigh nothing.
        """
        ids = np.asarray(prompt_ids[:LONGEST], dtype=np.int64)
        # Placeholders of images and the like may lie beyond the vocabulary.
        ids = ids[ids < len(self.rarity)]
        weights = self.rarity[ids]
        whole = weights / (float(np.sqrt(np.square(weights).sum())) or 1.0)
        opening = ids[self.head : self.head + OPENING]
        return [(ids, whole), (opening, np.full(len(opening), 1 / OPENING, np.float32))]


class Embeddings(ScorePredictor):
    """A ridge on tf-idf n-grams and mean token embeddings scores the prompt.

    The score estimates the length's rank among the training prompts (0 shortest, 1
    longest).

    Args:
        bins: [k] of total output tokens.
        curve: from scores to bins.
        idf, weight: [BUCKETS] of the n-grams, as in :class:`Ngrams`.
        reading: how tokens are weighted.
        worth: [2, V] what a token adds to the score, in the prompt and in its opening.
        length: what each e-fold of the prompt's length adds.
        intercept: of the ridge.
    """

    name: ClassVar[str] = "embeddings"
    reads: ClassVar[Reads] = "ids"
    tunes: ClassVar[bool] = False

    def __init__(
        self,
        bins: Bins,
        curve: Curve,
        idf: Floats,
        weight: Floats,
        reading: Reading,
        worth: Floats,
        length: float,
        intercept: float,
    ) -> None:
        self.bins, self.curve = bins, curve
        self.idf, self.weight = idf, weight
        self.reading, self.worth = reading, worth
        self.length, self.intercept = length, intercept

    @classmethod
    def fit(cls, fit: Answers, tune: Answers, bins: Bins, how: Fitting) -> Self:
        """A ridge on ranks; the curve from scores that each fold's ridge had not seen.

        Raises:
            UserError: also if the served model is not known.
        """
        # Predicting needs no scikit-learn, and an engine that starts need not wait for it.
        from scipy.sparse import csr_matrix, hstack
        from sklearn.feature_extraction.text import TfidfTransformer
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import cross_val_predict
        from sklearn.preprocessing import StandardScaler

        if how.model is None:
            raise UserError(f"{cls.name} reads the served model's embeddings: name it by --model")
        table = token_embeddings(how.model)
        prompts = [each.prompt_ids for each in fit.asked]
        reading = Reading.of(prompts, len(table))
        grams = matrix(prompts)
        tfidf = TfidfTransformer().fit(grams)
        means = np.stack([_means(each, reading, table) for each in prompts])
        scaler = StandardScaler().fit(means)
        scale = SHARE / np.sqrt(means.shape[1])
        dense = csr_matrix(scale * scaler.transform(means))
        features, rank = hstack([tfidf.transform(grams), dense]).tocsr(), ranks(fit.tokens)
        ridge = Ridge(ALPHA).fit(features, rank)
        unseen = cross_val_predict(Ridge(ALPHA), features, rank, cv=min(5, len(fit)))
        slopes = scale * ridge.coef_[BUCKETS:] / scaler.scale_
        whole, opening = slopes[:-1].reshape(2, -1)
        return cls(
            bins,
            Curve.fit(unseen, bins.index(fit.tokens), len(bins)),
            tfidf.idf_.astype(np.float32),
            ridge.coef_[:BUCKETS].astype(np.float32),
            reading,
            np.stack([table @ whole, table @ opening]).astype(np.float32),
            float(slopes[-1]),
            float(ridge.intercept_ - slopes @ scaler.mean_),
        )

    def score(self, prompt_ids: list[int]) -> float:
        """Estimated rank of the prompt's output length, about 0 to 1."""
        parts = zip(self.reading.parts(prompt_ids), self.worth, strict=True)
        tokens = sum(float(weights @ worth[ids]) for (ids, weights), worth in parts)
        length = self.length * _length(prompt_ids)
        return weigh(prompt_ids, self.idf, self.weight) + tokens + length + self.intercept

    def scores(self, asked: Sequence[Query]) -> Floats:
        """Estimated ranks, [n]."""
        return np.array([self.score(each.prompt_ids) for each in asked], dtype=np.float32)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Head, length and intercept; everything by token or n-gram, and the curve."""
        settings = {"head": self.reading.head, "length": self.length, "intercept": self.intercept}
        tables = {"idf": self.idf, "weight": self.weight, "rarity": self.reading.rarity}
        rounded = {name: table.astype(np.float16) for name, table in tables.items()}
        return settings, rounded | {"worth": self.worth.astype(np.float16)} | self.curve.arrays()

    @classmethod
    def restore(cls, bins: Bins, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The predictor that ``state`` described."""
        names = ("idf", "weight", "rarity", "worth")
        idf, weight, rarity, worth = (arrays[name].astype(np.float32) for name in names)
        if idf.shape != (BUCKETS,) or weight.shape != (BUCKETS,):
            raise ValueError(f"idf and weight must have {BUCKETS} entries")
        if worth.shape != (2, len(rarity)):
            raise ValueError(f"worth must have two rows of {len(rarity)} tokens")
        curve = Curve.restore(arrays, len(bins))
        reading = Reading(int(settings["head"]), rarity)
        length, intercept = float(settings["length"]), float(settings["intercept"])
        return cls(bins, curve, idf, weight, reading, worth, length, intercept)


def _means(prompt_ids: list[int], reading: Reading, table: Floats) -> Floats:
    """Weighted mean embeddings of the prompt and of its opening, and its length: [2d + 1]."""
    means = [weights @ table[ids] for ids, weights in reading.parts(prompt_ids)]
    return np.concatenate([*means, [_length(prompt_ids)]])


def _length(prompt_ids: list[int]) -> float:
    return float(np.log1p(len(prompt_ids)))
