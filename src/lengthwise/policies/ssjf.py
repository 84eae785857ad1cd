"""SSJF: speculative shortest job first with ageing (arXiv 2404.08509)."""

from __future__ import annotations

import math

from lengthwise.core.request import Request
from lengthwise.policies.sjf import SJF


class SSJF(SJF):
    """SJF in which a request gets ahead by ``rate`` tokens for each second it waits.

    Args:
        rate: tokens a second, from 0 (SJF) up. To overtake a request that arrived t seconds
            earlier, one must be predicted ``rate * t`` tokens shorter, so none starves.

    Raises:
        ValueError: if the rate is negative or not finite.
    """

    name = "ssjf"

    def __init__(self, rate: float = 10.0) -> None:
        if not 0 <= rate < math.inf:
            raise ValueError(f"the rate of ageing is at least 0 tokens a second, not {rate}")
        self.rate = rate

    def rank(self, request: Request) -> float:
        rank = super().rank(request)
        # All age alike, so predicted - rate (now - arrival) and this have one order, which
        # no clock moves: nothing is ever sorted again.
        return rank + self.rate * request.arrival if request.predicted else rank
