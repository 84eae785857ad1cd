"""Any policy with a bound on starvation (LTR, arXiv 2408.15792, section 4.3)."""

from __future__ import annotations

from collections.abc import Iterable

from lengthwise.core.policy import COMMITTED, Policy
from lengthwise.core.request import Request

_PROMOTED = -1e15
"""Ranks of the promoted: below all others but those that must run to completion."""


class Bounded(Policy):
    """Whoever had no token for ``threshold`` steps goes first until it has ``quantum`` more.

    The promoted go in the order of their promotion, and keep their seat meanwhile; then
    they rank as before, with what they have got.

    Args:
        policy: what orders everybody else.
        threshold: engine steps. LTR's scripts have 200; near capacity that promotes so many
            that the order becomes that of arrival.
        quantum: tokens (LTR's scripts: 10).

    Raises:
        ValueError: if either is below 1.
    """

    def __init__(self, policy: Policy, threshold: int = 500, quantum: int = 20) -> None:
        if min(threshold, quantum) < 1:
            raise ValueError("threshold and quantum of a bound are at least 1 step and token")
        self._policy = policy
        self.name = f"{policy.name}+bound"
        self.source, self.preemptive = policy.source, policy.preemptive
        self.paused_per_seat = policy.paused_per_seat
        self.grouped = policy.grouped
        self.slice = policy.slice
        self.threshold, self.quantum = threshold, quantum

    def turn(self, now: float, best: Request, waiting: Iterable[Request]) -> bool:
        return not best.promoted and self._policy.turn(now, best, waiting)

    def rank(self, request: Request) -> float:
        rank = self._policy.rank(request)
        if rank == COMMITTED or not request.promoted:
            return rank
        return _PROMOTED + request.promoted_at

    def preemptible(self, request: Request) -> bool:
        return not request.promoted and self._policy.preemptible(request)

    def may_preempt(self, request: Request) -> bool:
        return self.preemptive and (request.promoted or self._policy.may_preempt(request))
