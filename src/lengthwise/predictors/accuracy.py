"""How wrong predicted lengths are: what training, learning while serving and evaluation share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from lengthwise.core.lengths import Lengths

Errors = dict[str, NDArray[Any]]


def absolute_errors(predicted: Lengths, tokens: NDArray[np.number]) -> Errors:
    """Absolute errors [n] in tokens by readout: ``""`` is the mean, ``"_median"`` the median."""
    return {
        readout: np.abs(point - tokens)
        for readout, point in (("", predicted.mean()), ("_median", predicted.median()))
    }


def tau(predicted: NDArray[np.number], tokens: NDArray[np.number]) -> float:
    """Kendall's τ-b of predictions and lengths, both [n]; NaN if either are all alike."""
    return float(kendalltau(predicted, tokens).statistic)
