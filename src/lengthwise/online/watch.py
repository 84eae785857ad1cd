"""Whether what acts has turned bad: fewer pairs right than without it, or errors that rise."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from lengthwise.online.drift import PageHinkley, log_error
from lengthwise.online.pairs import KnownLengths, Share

_LOOK = 10
"""Finished requests between two looks."""

_LEAST = 50
"""Fewest requests by which what acts is judged."""

_BAD = 0.5
"""Share of pairs that no prediction at all orders right: half."""


@dataclass(frozen=True)
class Seen:
    """A request that is gone, and the tokens that what acts predicts of it."""

    predicted: float
    tokens: int
    cut: bool


class Watch:
    """Watches one version while it acts.

    Args:
        window: latest requests by which it is judged.
    """

    def __init__(self, window: int) -> None:
        self._latest: deque[Seen] = deque(maxlen=window)
        self._errors = PageHinkley()
        self._since = 0
        self.drifted = False

    def add(self, seen: Seen) -> Share | None:
        """A request is gone. What is left of the pairs right, if they are too few; else None.

        After ``window`` requests of another kind none of the former kind counts.
        """
        self._latest.append(seen)
        self.drifted = not seen.cut and self._errors.add(log_error(seen.predicted, seen.tokens))
        self._since += 1
        if self._since < _LOOK or len(self._latest) < _LEAST:
            return None
        self._since = 0
        right = self.right()
        return right if right.value < _BAD else None

    def right(self) -> Share:
        """Pairs right among the latest requests."""
        known = KnownLengths(
            np.array([each.tokens for each in self._latest]),
            np.array([each.cut for each in self._latest]),
        )
        return known.right(np.array([each.predicted for each in self._latest]))
