"""What policies by response ratio share: waiting is measured in seconds, none preempts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterable

from lengthwise.core.policy import COMMITTED, Policy, Source, unpredicted
from lengthwise.core.request import Request

_MOMENT = 1e-6
"""Least wait in seconds: of requests that have just arrived, the shortest goes first."""


class ResponseRatio(Policy):
    """Started requests run to their end; predicted ones rank by ratio; others by arrival."""

    source: Source = "prompt"
    preemptive = False
    timed = True

    def __init__(self) -> None:
        self._now = 0.0

    @abstractmethod
    def waiting_rank(self, request: Request, predicted: float) -> float:
        """Rank of a waiting request, from its predicted output tokens."""

    @abstractmethod
    def waiting_lane(self, request: Request, predicted: float) -> Hashable:
        """Requests of one lane never overtake each other; see :meth:`Policy.lane`."""

    def observe(self, now: float, running: Iterable[Request]) -> None:
        self._now = now

    def rank(self, request: Request) -> float:
        if request.started:
            return COMMITTED
        if request.initial is None:
            return unpredicted(request)
        return self.waiting_rank(request, request.initial)

    def lane(self, request: Request) -> Hashable:
        if request.started or request.initial is None:
            return self.rank(request)
        return self.waiting_lane(request, request.initial)

    def inverse_ratio(self, request: Request, service: float) -> float:
        """Service / (wait + service), from 0 to 1; the wait in seconds, the service in tokens."""
        return service / (max(request.waiting(self._now), 0.0) + _MOMENT + service)
