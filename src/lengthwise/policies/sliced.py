"""Any policy at slice boundaries only (SCLS, arXiv 2406.13511)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from lengthwise.core.policy import Policy
from lengthwise.core.request import Request


class Sliced(Policy):
    """A request is served ``most`` tokens at a time and ranked anew with what it has then.

    Nobody loses a seat within a slice: its end is the only point of preemption.

    Args:
        policy: what orders the requests that wait for a slice.
        most: SCLS's S in tokens.

    Raises:
        ValueError: if it is below 1, or the policy has slices of its own.
    """

    preemptive = False

    def __init__(self, policy: Policy, most: int = 128) -> None:
        if most < 1:
            raise ValueError("a slice has at least 1 token")
        if policy.slice < math.inf:
            raise ValueError("it serves in slices already")
        self._policy = policy
        self.name = f"{policy.name}+slice"
        self.source = policy.source
        self.grouped = policy.grouped
        self.threshold, self.quantum = policy.threshold, policy.quantum
        self.slice = most

    def turn(self, now: float, best: Request, waiting: Iterable[Request]) -> bool:
        return self._policy.turn(now, best, waiting)

    def rank(self, request: Request) -> float:
        return self._policy.rank(request)
