"""HRRN: highest response ratio next, on predicted lengths (Brinch Hansen 1971)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable

from lengthwise.core.policy import COMMITTED, Key, Policy, Source, unpredicted
from lengthwise.core.request import Request

_STEP = math.log(1.1)
"""Predictions are rounded to powers of 1.1, far finer than they are right."""

_MOMENT = 1e-6
"""Seconds that everybody has waited at least: the shortest of those that just came is first."""


def inverse_ratio(request: Request, now: float, service: float) -> float:
    """Service / (wait + service), from 0 to 1; the wait in seconds, the service in tokens."""
    return service / (max(request.waiting(now), 0.0) + _MOMENT + service)


class HRRN(Policy):
    """The largest (wait + service) / service first, non-preemptive.

    The order of these ratios is the order of wait / service, so it is the same whatever a
    token takes: service is counted in tokens, and no speed has to be known. Requests of
    one (rounded) prediction are served in order of arrival, so a hundred lanes hold all.
    """

    name = "hrrn"
    source: Source = "prompt"
    preemptive = False
    timed = True

    def __init__(self) -> None:
        self._now = 0.0

    def observe(self, now: float, running: Iterable[Request]) -> None:
        self._now = now

    def rank(self, request: Request) -> float:
        """The inverse ratio, within 0 and 1."""
        if request.started:
            return COMMITTED
        if request.initial is None:
            return unpredicted(request)
        return inverse_ratio(request, self._now, 1.1 ** _bucket(request.initial))

    def lane(self, request: Request) -> Hashable:
        if request.started or request.initial is None:
            return COMMITTED if request.started else unpredicted(request)
        return _bucket(request.initial)

    def place(self, request: Request) -> Key:
        return (request.arrival,)


def _bucket(tokens: float) -> int:
    return round(math.log(tokens) / _STEP)
