"""How often lengths fell into each bin: what is known before reading anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.bins import Bins, Floats


def histogram(bins: Bins, tokens: NDArray[np.integer]) -> NDArray[np.int64]:
    """How many of the lengths [n] fell into each bin: [k]."""
    return np.bincount(bins.index(tokens), minlength=len(bins))


def shares(counts: NDArray[np.integer], pull: float = 1.0, towards: Floats | None = None) -> Floats:
    """Counts [..., k] as distributions, shrunk as if ``pull`` more had followed ``towards``.

    Towards even shares by default: no bin is impossible for having been empty so far.
    """
    k = counts.shape[-1]
    prior = np.full(k, 1 / k) if towards is None else towards
    weights = counts + pull * prior
    found: Floats = (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)
    return found
