"""Hidden states along one answer, at sampled positions: what a probe learns from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class States:
    """States of one request at n positions of its answer.

    Attributes:
        layers: the L layers that they are of, in the order of the tap.
        ages: [n] tokens generated before each, rising; the first is 0, the prompt's end.
        values: [n, L, d] states, float16.
    """

    layers: tuple[int, ...]
    ages: NDArray[np.int64]
    values: NDArray[np.float16]

    @property
    def nbytes(self) -> int:
        """Bytes of the states."""
        return int(self.values.nbytes)
