"""Perfect predictions: R = X."""

from __future__ import annotations

import numpy as np

from lengthwise.theory.joint import Joint, Pairs
from lengthwise.theory.quadrature import Floats, PartialMoments, panels, rule
from lengthwise.theory.sizes import SizeLaw, span


class PerfectPredictions(Joint):
    """Every prediction is the job's true size.

    Args:
        sizes: a frozen continuous distribution of scipy.stats, e.g. ``expon()``.

    Raises:
        ValueError: for sizes below 0, or without a finite second moment.
    """

    def __init__(self, sizes: SizeLaw) -> None:
        self._sizes = sizes
        self._edges = panels(*span(sizes), 800)
        self.knots = np.append(0.0, self._edges)
        self._moments = PartialMoments(
            lambda x, power: np.asarray(x**power * sizes.pdf(x)), self._edges
        )

    def below(self, r: Floats | float, power: int) -> Floats:
        return self._moments(r, power)

    def outstanding(self, r: Floats, c: float) -> Floats:
        # Beyond r / (1 - c) a job commits before its remaining size falls to r.
        commits = np.full_like(r, np.inf) if c == 1 else r / (1 - c)
        reaching = r**2 * (self.below(commits, 0) - self.below(r, 0))
        committed = (1 - c) ** 2 * (self.moment(2) - self.below(commits, 2))
        total: Floats = self.below(r, 2) + reaching + committed
        return total

    def pairs(self, c: float) -> Pairs:
        nodes, weights = rule(self._edges, order=4)
        return Pairs(nodes, nodes, weights * self._sizes.pdf(nodes))

    def given(self, size: float, c: float) -> Pairs:
        one = np.array([size])
        if not self._sizes.pdf(one)[0] > 0:
            raise ValueError(f"this law has no job of size {size}")
        return Pairs(one, one, np.ones(1))

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        drawn: Floats = self._sizes.rvs(n, random_state=rng)
        return drawn, drawn
