"""TRAIL that prefills every arrival at once, so that the probe ranks all of them."""

from __future__ import annotations

import math

from lengthwise.core.policy import COMMITTED
from lengthwise.core.request import Request
from lengthwise.policies.trail import Trail


class TrailEarly(Trail):
    """A request that the probe has not seen goes first; after its prefill it competes.

    The alternative to ranking arrivals by their prompt: one step in a seat buys a
    prediction from hidden states. Its KV cache is kept while memory lasts.
    """

    name = "trail-early"
    paused_per_seat = math.inf

    def rank(self, request: Request) -> float:
        return super().rank(request) if request.probed else COMMITTED

    def preemptible(self, request: Request) -> bool:
        return request.probed and super().preemptible(request)

    def may_preempt(self, request: Request) -> bool:
        return True
