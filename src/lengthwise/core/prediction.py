"""One prediction: the output tokens that a request still produces, as one predictor put it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from lengthwise.core.bins import Floats
from lengthwise.core.lengths import Lengths

PredictedBy = Literal["prompt", "probe", "client", "router", "oracle"]
"""Who made a prediction: the prompt predictor, the probe on hidden states, the client in a
hint, a router in front of the engine, or a benchmark that measured the answer before."""

LEAST = 1.0
"""Tokens that are always still to come: a request that has not ended ends with one."""

_KEPT = 8
"""Figures of one batch that are kept at a time."""


@dataclass
class Mended:
    """Predictions of this process that no policy could use as they were.

    Attributes:
        clamped: zero or negative tokens, taken as one token.
        refused: infinite tokens, or a distribution without a mean: no prediction at all.
    """

    clamped: int = 0
    refused: int = 0


MENDED = Mended()


class Distributions:
    """Distributions of remaining tokens that were predicted together.

    Requests that run advance together, so what is read of one is computed for all rows at once
    and kept: a policy that asks for a quantile of 256 requests pays for one NumPy call.

    Attributes:
        lengths: n distributions, as they were predicted.
    """

    __slots__ = ("_first", "_later", "lengths")

    def __init__(self, lengths: Lengths) -> None:
        self.lengths = lengths
        self._first = self._later = _Given(0, lengths)

    def __reduce__(self) -> tuple[Any, ...]:
        return Distributions, (self.lengths,)

    def after(self, tokens: int) -> _Given:
        """The distributions, given that so many more tokens came without an end."""
        if tokens <= 0:
            return self._first
        later = self._later
        if later.tokens != tokens:
            later = self._later = _Given(tokens, self.lengths.after(np.array([tokens])))
        return later

    def alone(self, row: int) -> Distributions:
        """One of them in a batch of its own, for a request that advances by itself."""
        return Distributions(self.lengths.rows(np.array([row])))


class _Given:
    """Distributions at one age, and what was read of them."""

    __slots__ = ("_read", "lengths", "tokens")

    def __init__(self, tokens: int, lengths: Lengths) -> None:
        self.tokens, self.lengths = tokens, lengths
        self._read: dict[tuple[Callable[..., Floats], tuple[float, ...]], list[float]] = {}

    def read(self, row: int, figure: Callable[..., Floats], *at: float) -> float:
        """A figure of one row: a method of :class:`Lengths` and its arguments."""
        found = self._read.get((figure, at))
        if found is None:
            if len(self._read) >= _KEPT:
                self._read.clear()
            found = self._read[figure, at] = figure(self.lengths, *at).tolist()
        return found[row]


class Prediction(NamedTuple):
    """Remaining output tokens of a request: a distribution, or a point if there is no more.

    Immutable. All that is read holds at the request's age ``age + since``: :meth:`after` moves
    it on. There is no place for a true length; an oracle's prediction is one by ``oracle``.
    Make one with :func:`point` or :func:`each_of`, which see to it that it is usable.

    Attributes:
        tokens: expected remaining tokens when it was made, above 0 and finite.
        age: tokens that the request had generated then.
        source: who made it.
        since: tokens generated since then without an end.
        batch, row: the distribution it is; None is a point.
    """

    tokens: float
    age: int
    source: PredictedBy
    since: int = 0
    batch: Distributions | None = None
    row: int = 0

    def after(self, generated: int) -> Prediction:
        """The same prediction of a request that has generated so many tokens, and goes on."""
        since = max(generated - self.age, 0)
        if since == self.since:
            return self
        return Prediction(self.tokens, self.age, self.source, since, self.batch, self.row)

    def at_most(self, tokens: float) -> Prediction:
        """The same prediction of a request that ends after so many tokens from ``age`` on."""
        most = max(tokens, LEAST)
        expected, batch, row = min(self.tokens, most), self.batch, self.row
        if batch is not None and batch.lengths.limit[row] > most:
            one = batch.lengths.rows(np.array([row]))
            limit = np.array([most], dtype=np.float32)
            cut = Lengths(one.lower, one.upper, one.values, one.probabilities, limit)
            batch, row = Distributions(cut), 0
        elif expected == self.tokens:
            return self
        return Prediction(expected, self.age, self.source, self.since, batch, row)

    @property
    def mean(self) -> float:
        """Expected tokens still to come, at least 1."""
        if self.batch is None or not self.since:
            return max(self.tokens - self.since, LEAST)
        return max(self.batch.after(self.since).read(self.row, Lengths.mean), LEAST)

    def quantile(self, level: float) -> float:
        """Tokens still to come that are not exceeded with this probability, at least 1.

        Raises:
            ValueError: if the level is not within 0 and 1.
        """
        if not 0.0 <= level <= 1.0:
            raise ValueError(f"the level of a quantile is between 0 and 1, not {level}")
        if self.batch is None:
            return self.mean
        return max(self.batch.after(self.since).read(self.row, Lengths.quantile, level), LEAST)

    def tail(self, level: float) -> float:
        """Expected tokens still to come in the longest ``1 - level`` of all cases, at least 1.

        Raises:
            ValueError: if the level is not from 0 to below 1.
        """
        if not 0.0 <= level < 1.0:
            raise ValueError(f"the level of a tail is from 0 to below 1, not {level}")
        if self.batch is None:
            return self.mean
        return max(self.batch.after(self.since).read(self.row, Lengths.tail, level), LEAST)

    def probability_to_end_within(self, tokens: float) -> float:
        """The probability that the request ends within so many more tokens."""
        if self.batch is None:
            return 1.0 if tokens >= self.mean else 0.0
        return self.batch.after(self.since).read(self.row, Lengths.within, tokens)

    @property
    def support(self) -> tuple[Floats, Floats]:
        """Tokens still to come, never falling, and their probabilities: [k] and [k].

        Each stands for an interval of a distribution; a point has one. Not to be written to.
        """
        if self.batch is None:
            return np.array([self.mean], dtype=np.float32), np.ones(1, dtype=np.float32)
        now = self.batch.after(self.since).lengths
        probabilities = now.probabilities[self.row]
        probabilities.flags.writeable = False
        return np.minimum(now.values[self.row], now.limit[self.row]), probabilities


def point(tokens: float, source: PredictedBy, age: int = 0) -> Prediction | None:
    """A prediction of one number of remaining tokens; None if it is NaN, which is unknown."""
    if not 0.0 < tokens < math.inf:
        tokens = mended(tokens)
        if math.isnan(tokens):
            return None
    return Prediction(tokens, age, source)


def each_of(
    lengths: Lengths,
    source: PredictedBy,
    ages: Sequence[int] = (),
    tokens: Sequence[float] | None = None,
) -> list[Prediction | None]:
    """One prediction for each of n distributions of remaining tokens, by reference.

    Args:
        ages: n generated tokens; 0 each where none are given.
        tokens: n expected tokens, if the means are known already; NaN is unknown.

    Returns:
        None for a distribution that has no mean.
    """
    if tokens is None:
        tokens = expected(lengths)
    batch = Distributions(lengths)
    return [
        Prediction(mean, age, source, 0, batch, row)
        if 0.0 < mean < math.inf
        else point(mean, source, age)
        for row, (mean, age) in enumerate(zip(tokens, ages or [0] * len(tokens), strict=True))
    ]


def expected(lengths: Lengths) -> list[float]:
    """The means of n distributions; one without a mean is counted, and NaN."""
    means: list[float] = lengths.mean().tolist()
    MENDED.refused += sum(map(math.isnan, means))
    return means


def mended(tokens: float) -> float:
    """What stands for a number of tokens that is not above 0 and finite.

    The one place that decides it: NaN is unknown and stays, infinite is refused and becomes
    NaN, and zero or less is clamped to one token, as an answer has at least one.
    """
    if math.isnan(tokens):
        return tokens
    if math.isinf(tokens):
        MENDED.refused += 1
        return math.nan
    MENDED.clamped += 1
    return LEAST
