"""How evenly a cluster's load was spread, sampled over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lengthwise.workload.workload import Tokens


class Balance:
    """Imbalance: standard deviation over mean across instances, averaged over samples.

    Args:
        output: [n] true output tokens; for measuring only, no decision reads it.
    """

    def __init__(self, output: Tokens) -> None:
        self._output = output
        self._seats: list[float] = []
        self._work: list[float] = []
        self._busy: list[float] = []

    def sample(self, seated: Sequence[int], held: Sequence[Mapping[int, int]]) -> None:
        """Requests in seats and tokens of all requests held, for each living instance."""
        work = [sum(int(self._output[i]) - tokens for i, tokens in each.items()) for each in held]
        if seated and sum(work):
            self._seats.append(_spread(seated))
            self._work.append(_spread(work))
            self._busy.append(float(np.mean(seated)))

    @property
    def seats(self) -> float:
        """Imbalance of busy seats; 0 if nothing was ever busy."""
        return float(np.mean(self._seats)) if self._seats else 0.0

    @property
    def work(self) -> float:
        """Imbalance of tokens still to come."""
        return float(np.mean(self._work)) if self._work else 0.0

    @property
    def busy(self) -> float:
        """Busy seats of an instance in the mean."""
        return float(np.mean(self._busy)) if self._busy else 0.0


def _spread(values: Sequence[int]) -> float:
    mean = float(np.mean(values))
    return float(np.std(values)) / mean if mean > 0 else 0.0
