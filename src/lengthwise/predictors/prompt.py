"""Output length from the prompt alone: hashed n-grams of token ids, and a ridge.

Waiting requests have no hidden state yet; this ranks them until prefill. It reads
token ids, so it needs no tokenizer where the scheduler runs, and costs microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.bins import Bins, Floats

BUCKETS = 1 << 14
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def buckets(prompt_ids: list[int], longest: int = 1024) -> NDArray[np.int64]:
    """Hashed unigrams and bigrams of a prompt's first ``longest`` ids: [m] in [0, BUCKETS)."""
    ids = np.asarray(prompt_ids[:longest], dtype=np.uint64) + np.uint64(1)
    bigrams = ids[:-1] * np.uint64(0x1_0000_01B3) + ids[1:]
    mixed = np.concatenate([ids, bigrams + (np.uint64(1) << np.uint64(40))]) * _MULTIPLIER
    return np.unique(mixed >> np.uint64(64 - 14)).astype(np.int64)


@dataclass(frozen=True)
class PromptPredictor:
    """A ridge on tf-idf n-grams scores the prompt; a softmax turns the score into bins.

    The score estimates the length's rank among the training prompts (0 shortest, 1
    longest): lengths are too skewed for a ridge on tokens.

    Attributes:
        bins: the k bins of total output tokens.
        idf: [BUCKETS] inverse document frequencies.
        weight: [BUCKETS] the ridge's weights.
        intercept: of the ridge.
        slope, offset: [k] logits of bin i are ``offset[i] + slope[i] * score``.
    """

    bins: Bins
    idf: Floats
    weight: Floats
    intercept: float
    slope: Floats
    offset: Floats

    def score(self, prompt_ids: list[int]) -> float:
        """Estimated rank of the prompt's output length, about 0 to 1."""
        found = buckets(prompt_ids)
        idf = self.idf[found]
        norm = float(np.sqrt(np.square(idf).sum())) or 1.0
        return float((idf * self.weight[found]).sum()) / norm + self.intercept

    def probabilities(self, prompts: list[list[int]]) -> Floats:
        """Distribution over the bins for each prompt's token ids: [n, k]."""
        scores = np.array([[self.score(prompt)] for prompt in prompts], dtype=np.float32)
        logits = self.offset + self.slope * scores
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        return shares

    def predict(self, prompt_ids: list[int]) -> float:
        """Expected output tokens of one prompt."""
        return float(self.bins.mean(self.probabilities([prompt_ids]))[0])
