"""TIE: shortest by a mean that is inflated by its tail (arXiv 2604.00499)."""

from __future__ import annotations

import math

from lengthwise.core.policy import COMMITTED, Policy, Source, unpredicted
from lengthwise.core.request import Request

_LEAST, _MOST = 0.1, 0.5
"""Bounds of the tail's weight."""

_DECAY = -math.log(0.9) / 30.0
"""A score falls by a tenth in 30 s of waiting."""


class TIE(Policy):
    """The least tail-inflated expectation first, E[S] + beta CVaR[S]; non-preemptive.

    The paper's form and constants. CVaR is the mean of the longest tenth of what is predicted of
    the answer. beta = min(0.5, max(0.1, 0.1 waiting / seats)), as many as wait when the request
    is scored. Scores fall by 0.9 every 30 s of waiting; all fall alike, so ln(score) and the
    arrival's part of it are a rank that no clock moves. A point has no tail: it counts 1 + beta
    times. The paper predicts log-t laws; here it is the law that the predictor gives.

    Args:
        level: share of the cases that are not in the tail.

    Raises:
        ValueError: if it is not from 0 to below 1.
    """

    name = "tie"
    source: Source = "prompt"
    preemptive = False

    def __init__(self, level: float = 0.9) -> None:
        if not 0.0 <= level < 1.0:
            raise ValueError(f"the level of TIE's tail is from 0 to below 1, not {level}")
        self.level = level
        self._seats = 1
        self._waiting: dict[str, float] = {}

    def rank(self, request: Request) -> float:
        if request.started:
            return COMMITTED
        prediction = request.prediction
        if prediction is None:
            return unpredicted(request)
        beta = self._waiting.get(request.id)
        if beta is None:
            beta = self._weight()
        score = prediction.tail(0.0) + beta * prediction.tail(self.level)
        # A score is above 1, and so a rank above that of the unpredicted.
        return math.log(score) + _DECAY * request.arrival

    # Events: the weight depends on how many wait.

    def begins(self, seats: int, kv_tokens: int) -> None:
        self._seats = seats

    def enters(self, request: Request) -> None:
        if request.id not in self._waiting:
            self._waiting[request.id] = self._weight()

    def changes(self, request: Request) -> None:
        if request.id in self._waiting:
            self._waiting[request.id] = self._weight()

    def exits(self, request: Request) -> None:
        self._waiting.pop(request.id, None)

    def leave(self, request: Request) -> None:
        self._waiting.pop(request.id, None)

    def _weight(self) -> float:
        return min(max(0.1 * len(self._waiting) / self._seats, _LEAST), _MOST)
