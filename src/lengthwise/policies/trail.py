"""TRAIL: shortest predicted remaining first, with limited preemption."""

from __future__ import annotations

from lengthwise.core.policy import COMMITTED, Policy, Source, unpredicted
from lengthwise.core.request import Request


class Trail(Policy):
    """The fewest predicted remaining tokens first; preempts a request only below age C·r.

    r is the request's first predicted length, its age the tokens generated. From C·r on it
    runs to its end, and if memory evicts it, it returns first (arXiv 2410.01035, section 3.3).

    Args:
        c: TRAIL's C in [0, 1]. 1 preempts until the prediction is used up, 0 never
            (non-preemptive shortest predicted job first).

    Raises:
        ValueError: if ``c`` is outside [0, 1].
    """

    name = "trail"
    source: Source = "probe"
    preemptive = True

    def __init__(self, c: float = 0.8) -> None:
        if not 0.0 <= c <= 1.0:
            raise ValueError(f"TRAIL's C must be between 0 and 1, not {c}")
        self.c = c

    def rank(self, request: Request) -> float:
        if request.initial is None:
            return unpredicted(request)
        if request.started and request.generated >= self.c * request.initial:
            return COMMITTED
        return request.remaining

    def preemptible(self, request: Request) -> bool:
        return request.initial is not None and request.generated < self.c * request.initial
