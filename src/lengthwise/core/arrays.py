"""Names of array types, and the least that any prediction of tokens is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


Ints = NDArray[np.int64]


Rng = np.random.Generator


def floored(predicted: Floats) -> Floats:
    """Predicted tokens, at least 1, as every answer has; NaN stays NaN."""
    tokens: Floats = np.maximum(predicted, 1.0)
    return tokens
