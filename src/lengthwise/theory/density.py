"""Any joint density of size and prediction, given as a function."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import RectBivariateSpline

from lengthwise.theory.joint import Joint, Pairs
from lengthwise.theory.quadrature import Floats, PartialMoments, panels, rule
from lengthwise.theory.sizes import SizeLaw, span

ROWS = 40
"""Panels over the predictions, and over the sizes on either side of the cutoff."""

EDGES = 800
"""Cells over the predictions in which the partial moments are cubic."""


class JointDensity(Joint):
    """A law given by its density g(size, prediction).

    Args:
        density: g(x, y) in 1 / work², for arrays x and y that broadcast together.
        sizes: least and largest size that matter, both positive; the density may jump there.
        predictions: the same for the predictions.

    Raises:
        ValueError: if the bounds are not 0 < low < high, or the density doesn't integrate
            to 1 over them (wrong bounds, or features narrower than about 5 % of a size).
    """

    def __init__(
        self,
        density: Callable[[Floats, Floats], Floats],
        sizes: tuple[float, float],
        predictions: tuple[float, float],
    ) -> None:
        if not all(0 < low < high < np.inf for low, high in (sizes, predictions)):
            raise ValueError("bounds must be two increasing positive numbers")
        self._density = density
        self._sizes = sizes
        self._predictions = predictions
        edges = panels(*predictions, EDGES)
        self.knots = np.append(0.0, edges)
        self._moments = PartialMoments(self._marginal, edges)
        if not abs(self.moment(0) - 1) < 1e-4:
            raise ValueError(f"the density integrates to {self.moment(0):.6g} on its bounds, not 1")
        self._overshoot = self._tabulate_overshoot()

    def below(self, r: Floats | float, power: int) -> Floats:
        return self._moments(r, power)

    def outstanding(self, r: Floats, c: float) -> Floats:
        low, high = self._predictions
        start = np.clip(r, low, high)
        # The integrand has kinks where predictions reach r, and where jobs commit earlier.
        commits = np.clip(start / (1 - c), start, high) if c < 1 else np.full_like(r, high)
        y, weights = rule(_two_panels(start, commits, high))
        part = np.minimum(1 - r[:, None] / y, c)
        overshoot = self._overshoot.ev(np.log(y), np.maximum(part, 0.0))
        total: Floats = self.below(r, 2) + np.sum(overshoot * weights, axis=-1)
        return total

    def pairs(self, c: float) -> Pairs:
        y, rows = rule(panels(*self._predictions, ROWS))
        low, high = self._sizes
        x, columns = rule(_two_panels(np.full_like(y, low), np.clip(c * y, low, high), high))
        predictions = np.broadcast_to(y[:, None], x.shape)
        weights = self._at(x, predictions) * columns * rows[:, None]
        # Most nodes lie where there is nearly nothing: they only cost time.
        matter = weights * (1 + (x / self.moment(1)) ** 2) > 1e-16
        return Pairs(x[matter], predictions[matter], weights[matter])

    def given(self, size: float, c: float) -> Pairs:
        low, high = self._predictions
        cut = np.clip(size / c, low, high) if c else high
        y, weights = rule(_two_panels(np.array(low), np.array(cut), high))
        x = np.full_like(y, size)
        weights = weights * self._at(x, y)
        total = weights.sum()
        if not (self._sizes[0] <= size <= self._sizes[1] and total > 0):
            raise ValueError(f"this law has no job of size {size}")
        return Pairs(x, y, weights / total)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Predictions by inversion, then each size by inversion given its prediction."""
        known = np.asarray(self.below(self.knots, 0))
        y = np.interp(rng.random(n) * known[-1], known, self.knots)
        chunks = [self._sizes_given(part, rng) for part in np.array_split(y, n // 4096 + 1)]
        return np.concatenate(chunks), y

    def _at(self, x: Floats, y: Floats) -> Floats:
        return np.broadcast_to(self._density(x, y), np.broadcast_shapes(x.shape, y.shape))

    def _sizes_given(self, y: Floats, rng: np.random.Generator) -> Floats:
        edges = panels(*self._sizes, 256)
        middles = np.sqrt(edges[1:] * edges[:-1])
        masses = self._at(middles, y[:, None]) * np.diff(edges)
        sums = np.cumsum(masses, axis=1)
        target = rng.random(len(y)) * sums[:, -1]
        cell = np.minimum((sums < target[:, None]).sum(axis=1), len(middles) - 1)
        row = np.arange(len(y))
        inside = masses[row, cell]
        share = (target - (sums[row, cell] - inside)) / np.where(inside > 0, inside, 1.0)
        drawn: Floats = edges[cell] + np.clip(share, 0.0, 1.0) * np.diff(edges)[cell]
        return drawn

    def _marginal(self, y: Floats, power: int) -> Floats:
        x, weights = rule(panels(*self._sizes, 2 * ROWS))
        marginal: Floats = self._at(x, y[:, None]) @ (weights * x**power)
        return marginal

    def _tabulate_overshoot(self) -> RectBivariateSpline:
        """(log y, b) -> integral of (x - b y)²⁺ g(x, y) over x, for b in [0, 1]."""
        y = panels(*self._predictions, 200)
        parts = np.linspace(0.0, 1.0, 49)
        rows = np.empty((len(y), len(parts)))
        low, high = self._sizes
        for column, part in enumerate(parts):
            x, weights = rule(panels(np.clip(part * y, low, high), np.full_like(y, high), ROWS))
            values = (x - part * y[:, None]) ** 2 * self._at(x, y[:, None])
            rows[:, column] = np.sum(values * weights, axis=1)
        return RectBivariateSpline(np.log(y), parts, rows)


class ExponentialPredictions(JointDensity):
    """Given its size, a job's prediction is exponential with that mean: unbiased, very noisy.

    The model of Mitzenmacher (2019) that arXiv 2410.01035 takes for its own M/G/1 figures.

    Args:
        sizes: a frozen continuous distribution of scipy.stats, e.g. ``expon()``.

    Raises:
        ValueError: for sizes below 0, or without a finite second moment.
    """

    def __init__(self, sizes: SizeLaw) -> None:
        self._law = sizes
        low, high = span(sizes)

        def density(x: Floats, y: Floats) -> Floats:
            values: Floats = sizes.pdf(x) * np.exp(-y / x) / x
            return values

        least = min(low, 1e-10 * float(sizes.mean()))
        super().__init__(density, (low, high), (least, 40 * high))

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        drawn: Floats = self._law.rvs(n, random_state=rng)
        return drawn, rng.exponential(drawn)


def _two_panels(low: Floats, middle: Floats, high: float) -> Floats:
    """Edges of ROWS panels from low to middle and ROWS more to high: [...] -> [..., 2 ROWS + 1]."""
    lower = panels(low, middle, ROWS)
    upper = panels(middle, np.full_like(middle, high), ROWS)
    return np.concatenate([lower, upper[..., 1:]], axis=-1)
