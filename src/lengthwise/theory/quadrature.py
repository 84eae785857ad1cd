"""Gauss-Legendre over panels: integrals of functions that are smooth between given edges."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

Floats = NDArray[np.float64]

ORDER = 8
"""Nodes in a panel: exact for polynomials of degree 15."""


def panels(low: Floats | float, high: Floats | float, count: int) -> Floats:
    """Edges of ``count`` panels, each wider than the one before by the same factor.

    Sizes and predictions live on many scales at once; in geometric panels a density that
    is smooth in log x needs as few nodes near 0 as in the tail. [...] -> [..., count + 1].
    """
    edges: Floats = np.geomspace(low, high, count + 1, axis=-1)
    return edges


def rule(edges: Floats, order: int = ORDER) -> tuple[Floats, Floats]:
    """Nodes and weights of the integral over all panels: [..., p + 1] -> two [..., p * order]."""
    points, shares = _unit_rule(order)
    width = np.diff(edges)[..., None]
    nodes = edges[..., :-1, None] + width * points
    flat = (*edges.shape[:-1], -1)
    return nodes.reshape(flat), (width * shares).reshape(flat)


class Integral:
    """z -> integral of ``f`` from knots[0] to z.

    Args:
        f: vectorised, smooth between the knots; it may jump at them, and it is constant
            beyond the last.
        knots: increasing, [n].
    """

    def __init__(self, f: Callable[[Floats], Floats], knots: Floats) -> None:
        self._f = f
        self._knots = knots
        self._sums = np.append(0.0, np.cumsum(self._between(knots[:-1], knots[1:])))

    def __call__(self, z: Floats) -> Floats:
        cell = np.maximum(np.searchsorted(self._knots, z, side="right") - 1, 0)
        total: Floats = self._sums[cell] + self._between(self._knots[cell], z)
        return total

    def _between(self, low: Floats, high: Floats) -> Floats:
        # Four nodes do: the knots are close, and this runs once for each pair of a law.
        nodes, weights = rule(np.stack([low, high], axis=-1), order=4)
        total: Floats = np.sum(self._f(nodes) * weights, axis=-1)
        return total


class PartialMoments:
    """(r, k) -> E[X^k; R < r] for k = 0, 1, 2.

    Args:
        marginal: (predictions, k) -> density of E[X^k; R] there, vectorised.
        edges: increasing bounds of panels in which the density is smooth, [n].
    """

    def __init__(self, marginal: Callable[[Floats, int], Floats], edges: Floats) -> None:
        self._low, self._high = edges[0], edges[-1]
        self._splines = [self._spline(marginal, edges, power) for power in range(3)]

    def __call__(self, r: Floats | float, power: int) -> Floats:
        moments: Floats = self._splines[power](np.clip(r, self._low, self._high))
        return moments

    @staticmethod
    def _spline(
        marginal: Callable[[Floats, int], Floats], edges: Floats, power: int
    ) -> Callable[[Floats], Floats]:
        nodes, weights = rule(edges, order=4)
        steps = (marginal(nodes, power) * weights).reshape(len(edges) - 1, 4).sum(axis=1)
        sums = np.append(0.0, np.cumsum(steps))
        # The slope of the integral is the density itself, so cubic pieces come for free.
        spline: Callable[[Floats], Floats] = CubicHermiteSpline(edges, sums, marginal(edges, power))
        return spline


@cache
def _unit_rule(order: int) -> tuple[Floats, Floats]:
    points, weights = np.polynomial.legendre.leggauss(order)
    return (points + 1) / 2, weights / 2
