"""Shortest predicted remaining processing time, fully preemptive."""

from __future__ import annotations

from lengthwise.core.policy import UNPREDICTED, Policy, Source
from lengthwise.core.request import Request


class SPRPT(Policy):
    """Everybody by predicted remaining tokens, at any time (Mitzenmacher 2019)."""

    name = "sprpt"
    source: Source = "probe"
    preemptive = True

    def rank(self, request: Request) -> float:
        return request.remaining if request.predicted else UNPREDICTED

    def preemptible(self, request: Request) -> bool:
        return request.predicted
