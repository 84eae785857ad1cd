"""What every predictor returns: distributions over token counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.bins import Bins, Floats


@dataclass(frozen=True)
class Lengths:
    """n distributions over token counts, each spread evenly inside k intervals.

    Attributes:
        lower, upper: [n, k] bounds of the intervals in tokens, increasing along a row.
        values: [n, k] the tokens an interval stands for in a mean.
        probabilities: [n, k], rows adding up to 1.
        limit: [n] most tokens possible (max_tokens less what was generated); all that lies
            beyond counts as ending there.
    """

    lower: Floats
    upper: Floats
    values: Floats
    probabilities: Floats
    limit: Floats

    @classmethod
    def of(
        cls, bins: Bins, probabilities: Floats, limit: NDArray[np.number] | None = None
    ) -> Lengths:
        """Distributions over bins: [n, k], and the most tokens possible for each [n]."""
        shape = probabilities.shape
        most = np.full(shape[0], np.inf) if limit is None else limit
        return cls(
            np.broadcast_to(bins.edges[:-1], shape),
            np.broadcast_to(bins.edges[1:], shape),
            np.broadcast_to(bins.values, shape),
            probabilities.astype(np.float32),
            np.asarray(most, dtype=np.float32),
        )

    def __len__(self) -> int:
        return len(self.probabilities)

    def rows(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> Lengths:
        """Some of the distributions, in that order."""
        return Lengths(
            self.lower[index],
            self.upper[index],
            self.values[index],
            self.probabilities[index],
            self.limit[index],
        )

    def mean(self) -> Floats:
        """Expected tokens: [n]."""
        cut = np.minimum(self.values, self.limit[:, None])
        means: Floats = np.einsum("nk,nk->n", self.probabilities, cut)
        return means

    def quantile(self, level: float) -> Floats:
        """The tokens that are not exceeded with probability ``level``: [n]."""
        until = np.cumsum(self.probabilities, axis=1)
        at = np.minimum((until < level).sum(axis=1), self.probabilities.shape[1] - 1)
        rows = np.arange(len(self))
        inside = self.probabilities[rows, at]
        share = np.clip((level - until[rows, at] + inside) / np.maximum(inside, 1e-9), 0.0, 1.0)
        low, high = self.lower[rows, at], self.upper[rows, at]
        tokens: Floats = np.minimum(low + share * (high - low), self.limit).astype(np.float32)
        return tokens

    def within(self, tokens: float) -> Floats:
        """The probability of at most so many tokens: [n]."""
        width = np.maximum(self.upper - self.lower, 1e-6)
        share = np.clip((tokens - self.lower) / width, 0.0, 1.0)
        until = np.einsum("nk,nk->n", self.probabilities, share)
        found: Floats = np.where(self.limit <= tokens, 1.0, np.minimum(until, 1.0))
        return found.astype(np.float32)

    def tail(self, level: float) -> Floats:
        """The mean of the longest share ``1 - level``: [n]. At level 0 it is the mean.

        The conditional value at risk of a discrete law (Rockafellar & Uryasev 2002).

        Raises:
            ValueError: if the level is not from 0 to below 1.
        """
        if not 0.0 <= level < 1.0:
            raise ValueError(f"the level of a tail is from 0 to below 1, not {level}")
        until = np.cumsum(self.probabilities, axis=1, dtype=np.float64)
        beyond = np.clip(until - level, 0.0, self.probabilities)
        total = np.maximum(beyond.sum(axis=1), 1e-12)
        cut = np.minimum(self.values, self.limit[:, None])
        tails: Floats = np.einsum("nk,nk->n", beyond, cut) / total
        return tails.astype(np.float32)

    def gittins(self) -> Floats:
        """Gittins' index: the least expected tokens for each unit of chance to end: [n].

        The infimum over D of E[min(S, D)] / P(S <= D). Inside an interval, where the law is
        even, that quotient rises and then falls, so the ends of the intervals have it.
        """
        until = np.cumsum(self.probabilities, axis=1, dtype=np.float64)
        limit = self.limit[:, None]
        ended = np.cumsum(self.probabilities * np.minimum(self.values, limit), axis=1)
        spent = ended + np.maximum(1.0 - until, 0.0) * np.minimum(self.upper, limit)
        # What lies beyond the limit ends there.
        chance = np.where(self.upper >= limit, 1.0, np.minimum(until, 1.0))
        quotients = np.where(chance > 1e-9, spent / np.maximum(chance, 1e-9), np.inf)
        index: Floats = quotients.min(axis=1)
        return index.astype(np.float32)

    def median(self) -> Floats:
        """The tokens that minimise the expected absolute error: [n]."""
        return self.quantile(0.5)

    def after(self, generated: NDArray[np.number]) -> Lengths:
        """Distributions of the remaining tokens, given total lengths and generated tokens [n].

        Where more tokens were generated than thought possible, the end is expected at once.
        """
        age = np.asarray(generated, dtype=np.float32)[:, None]
        lower, upper = np.maximum(self.lower - age, 0.0), np.maximum(self.upper - age, 0.0)
        mass = self.probabilities * (upper - lower) / (self.upper - self.lower)
        total = mass.sum(axis=1, keepdims=True)
        over = total[:, 0] < 1e-9
        mass = mass / np.where(total > 1e-9, total, 1.0)
        mass[over, 0] = 1.0
        # A bin stands for its middle, the last one perhaps for its start: keep where.
        share = (self.values - self.lower) / (self.upper - self.lower)
        values = np.maximum(lower + share * (upper - lower), 1.0)
        limit = np.maximum(self.limit - age[:, 0], 1.0)
        return Lengths(lower, upper, values.astype(np.float32), mass.astype(np.float32), limit)
