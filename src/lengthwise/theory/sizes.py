"""Size distributions: any frozen continuous one of scipy.stats, and the span to integrate over."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from lengthwise.theory.quadrature import Floats

NEGLIGIBLE = 1e-10
"""Share of the probability, and of E[X²], that the integrals leave out at either end."""


class SizeLaw(Protocol):
    """The methods used of a frozen continuous distribution of scipy.stats."""

    def pdf(self, x: Floats | float) -> Any: ...
    def ppf(self, q: float) -> Any: ...
    def isf(self, q: float) -> Any: ...
    def mean(self) -> Any: ...
    def var(self) -> Any: ...
    def support(self) -> Any: ...
    def rvs(self, size: int, random_state: np.random.Generator) -> Any: ...


def span(law: SizeLaw) -> tuple[float, float]:
    """Least and largest size that matter.

    Raises:
        ValueError: for sizes below 0, or without a finite second moment (the mean
            response would be infinite).
    """
    low, high = (float(end) for end in law.support())
    mean, second = float(law.mean()), float(law.var() + law.mean() ** 2)
    if low < 0:
        raise ValueError("sizes must be positive, but this distribution goes below 0")
    if not np.isfinite(second):
        raise ValueError("sizes need a finite second moment: the mean response is infinite")
    if low == 0:
        low = max(float(law.ppf(NEGLIGIBLE)), 1e-30 * mean)
    if np.isinf(high):
        high = float(law.isf(1e-16))
        # A heavy tail has little probability but much of E[X²].
        while high**3 * float(law.pdf(high)) > NEGLIGIBLE * second:
            high *= 2
    return low, high
