"""Shortest prompt first: by the prompt tokens that are still to compute."""

from __future__ import annotations

from lengthwise.core.policy import COMMITTED, Policy, Source
from lengthwise.core.request import Request


class SPF(Policy):
    """The fewest prompt tokens that the prefix cache does not hold; runs each to its end.

    SGLang's ``shortest-prefill-first`` orders so. Needs no prediction, and bounds no wait.
    """

    name = "spf"
    source: Source = "none"
    preemptive = False
    needs_predictions = False
    reads_cache = True

    def rank(self, request: Request) -> float:
        return COMMITTED if request.started else float(request.uncached_tokens)
