"""LTR: by the static score of the prompt, fully preemptive (arXiv 2408.15792)."""

from __future__ import annotations

import math

from lengthwise.core.policy import Policy, Source, unpredicted
from lengthwise.core.request import Request


class LTR(Policy):
    """Ranks each request by the first prediction of its prompt, which never changes.

    A request that is not among the best pauses and keeps its KV cache; memory pressure
    evicts the worst first. Static ranks cannot cross, so any number may be paused. The
    paper's starvation prevention is ``ltr+bound``.
    """

    name = "ltr"
    source: Source = "prompt"
    preemptive = True
    paused_per_seat = math.inf

    def rank(self, request: Request) -> float:
        return unpredicted(request) if request.initial is None else request.initial

    def preemptible(self, request: Request) -> bool:
        return request.predicted
