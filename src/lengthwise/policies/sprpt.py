"""Shortest predicted remaining processing time, fully preemptive."""

from __future__ import annotations

from lengthwise.core.policy import Policy, Source, unpredicted
from lengthwise.core.request import Request


class SPRPT(Policy):
    """Every request by its predicted remaining tokens, at any time (Mitzenmacher 2019)."""

    name = "sprpt"
    source: Source = "probe"
    preemptive = True

    def rank(self, request: Request) -> float:
        return request.remaining if request.predicted else unpredicted(request)

    def preemptible(self, request: Request) -> bool:
        return request.predicted
