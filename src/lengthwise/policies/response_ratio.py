"""What policies by response ratio share: waiting counts by the clock, nobody is interrupted."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterable

from lengthwise.core.policy import COMMITTED, Policy, Source, unpredicted
from lengthwise.core.request import Request

_MOMENT = 1e-6
"""Seconds that everybody has waited at least: the shortest of those that just came is first."""


class ResponseRatio(Policy):
    """Who has started runs on, who is not predicted has its place, the others have ratios."""

    source: Source = "prompt"
    preemptive = False
    timed = True

    def __init__(self) -> None:
        self._now = 0.0

    @abstractmethod
    def waiting_rank(self, request: Request, predicted: float) -> float:
        """Rank of a request that waits, from its predicted tokens."""

    @abstractmethod
    def waiting_lane(self, request: Request, predicted: float) -> Hashable:
        """Its lane."""

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
