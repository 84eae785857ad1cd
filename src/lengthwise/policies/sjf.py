"""Shortest (predicted) job first, non-preemptive: vLLM-SJF in TRAIL's evaluation."""

from __future__ import annotations

from lengthwise.core.policy import COMMITTED, Policy, Source, unpredicted
from lengthwise.core.request import Request


class SJF(Policy):
    """Waiting requests by predicted output tokens; a started request runs to its end."""

    name = "sjf"
    source: Source = "prompt"
    preemptive = False

    def rank(self, request: Request) -> float:
        if request.started:
            return COMMITTED
        return unpredicted(request) if request.initial is None else request.initial
