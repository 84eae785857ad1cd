"""When requests arrive: all at once, or at random."""

from __future__ import annotations

import numpy as np

from lengthwise.errors import UserError


def burst(n: int) -> list[float]:
    """All n requests at time 0."""
    return [0.0] * n


def gamma(n: int, rate: float, cv: float, seed: int | list[int]) -> list[float]:
    """n arrival times in seconds at ``rate`` per second; ``cv`` 1 is Poisson.

    Gaps are gamma distributed with mean 1/rate and coefficient of variation ``cv``.

    Raises:
        UserError: if rate or cv is not positive.
    """
    if not rate > 0 or not cv > 0:
        raise UserError(f"arrivals need a positive rate and cv, not rate={rate} and cv={cv}")
    shape = 1.0 / cv**2
    gaps = np.random.default_rng(seed).gamma(shape, 1.0 / (rate * shape), n)
    return [float(t) for t in np.cumsum(gaps)]
