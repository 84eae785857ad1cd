"""First come, first served: vLLM's own order, and the baseline of every comparison."""

from __future__ import annotations

from lengthwise.core.policy import Policy, Source
from lengthwise.core.request import Request


class FCFS(Policy):
    """Every rank is equal, so the order of arrival decides."""

    name = "fcfs"
    source: Source = "none"
    preemptive = False

    def rank(self, request: Request) -> float:
        return 0.0
