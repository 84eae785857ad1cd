"""How a version errs by the length of the answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lengthwise.online.version import Judged


@dataclass(frozen=True)
class LengthClass:
    """The judged requests whose answers had between so many tokens.

    Attributes:
        least, most: true tokens of the class, both included; most is twice the least, less one.
        requests: how many.
        tokens, predicted: means of true and predicted tokens.
        mae: mean absolute error in tokens.
        bias: mean of predicted less true tokens.
    """

    least: int
    most: int
    requests: int
    tokens: float
    predicted: float
    mae: float
    bias: float


def classes_of(judged: Judged) -> list[LengthClass]:
    """Classes that double in length, from 1 token on; those without requests are left out."""
    tokens, predicted = np.array(judged.tokens), np.array(judged.predicted)
    level = np.floor(np.log2(np.maximum(tokens, 1.0))).astype(int)
    return [
        _class_of(int(each), tokens[level == each], predicted[level == each])
        for each in np.unique(level)
    ]


def _class_of(
    level: int, tokens: NDArray[np.float64], predicted: NDArray[np.float64]
) -> LengthClass:
    off = predicted - tokens
    return LengthClass(
        2**level,
        2 ** (level + 1) - 1,
        len(tokens),
        float(tokens.mean()),
        float(predicted.mean()),
        float(np.abs(off).mean()),
        float(off.mean()),
    )
