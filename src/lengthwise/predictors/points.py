"""Distributions that are sure: all mass at one number of tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.lengths import Lengths


def points(tokens: NDArray[np.number], limit: NDArray[np.number]) -> Lengths:
    """All mass within half a token of each [n]; ``limit`` [n] is the most possible."""
    at = np.asarray(tokens, dtype=np.float32)[:, None]
    sure = np.ones_like(at)
    return Lengths(at - 0.5, at + 0.5, at, sure, np.asarray(limit, dtype=np.float32))
