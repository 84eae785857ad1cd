"""The joint law of a job's size and its prediction: what the closed form asks of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from lengthwise.theory.quadrature import Floats


class Pairs(NamedTuple):
    """Weighted pairs that stand for a law: E[h(X, R)] is the weighted sum of h.

    Attributes:
        sizes: X, [n], in any unit of work.
        predictions: R, [n], in the same unit.
        weights: [n], summing to 1.
    """

    sizes: Floats
    predictions: Floats
    weights: Floats

    def mean(self, values: Floats) -> float:
        """Expectation of a function from its values at the pairs, [n]."""
        return float(values @ self.weights)


class Joint(ABC):
    """A law of (X, R), true size and prediction, both positive and in one unit of work.

    Attributes:
        knots: increasing predictions from 0 on; between two of them the law of R is smooth.
    """

    knots: Floats

    @abstractmethod
    def below(self, r: Floats | float, power: int) -> Floats:
        """E[X^power; R < r] for power 0, 1, 2; same shape as ``r``."""

    def upto(self, r: Floats | float, power: int) -> Floats:
        """E[X^power; R <= r]; differs from ``below`` only where predictions can tie."""
        return self.below(r, power)

    @abstractmethod
    def outstanding(self, r: Floats, c: float) -> Floats:
        """E[S²], S the longest run of service before which a job ranked ``r`` must wait.

        A job predicted at most r is ahead with all of its size. One predicted more gets
        ahead when its predicted remaining falls to r or when it commits at its *own*
        cutoff, and is then ahead until it ends: S = (X - min(R - r, c R))⁺. [n] -> [n].
        """

    @abstractmethod
    def pairs(self, c: float) -> Pairs:
        """A rule for E[h(X, R)], exact also for an h with a kink where X = c R."""

    @abstractmethod
    def given(self, size: float, c: float) -> Pairs:
        """The same rule for jobs of one true size.

        Raises:
            ValueError: if the law has no job of that size.
        """

    @abstractmethod
    def sample(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """n independent sizes and their predictions, two [n]."""

    def moment(self, power: int) -> float:
        """E[X^power] for power 0, 1, 2."""
        return float(self.upto(np.inf, power))
