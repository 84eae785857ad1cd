"""Names of array types, and what all predictions of tokens have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


Ints = NDArray[np.int64]


Rng = np.random.Generator


def floored(predicted: Floats) -> Floats:
    """At least one token, as an answer has; NaN stays."""
    tokens: Floats = np.maximum(predicted, 1.0)
    return tokens
