"""``+bound``: any policy with a bound on starvation (LTR, arXiv 2408.15792, section 4.3)."""

from __future__ import annotations

from collections.abc import Hashable

from lengthwise.core.patience import Threshold
from lengthwise.core.policy import FIRST, Key, Policy
from lengthwise.core.request import Request
from lengthwise.policies.wrapper import Wrapper

_PROMOTED = -1e300
"""Rank of promoted requests: before all but the committed ones."""

_STEPS = Threshold(500)


class Bounded(Wrapper):
    """A request without a token for ``threshold`` goes first for its next ``quantum`` tokens.

    Promoted requests go in the order of their promotion and keep their seat meanwhile; then
    the policy ranks them again, with the tokens they have by then.

    Args:
        policy: orders all other requests.
        threshold: engine steps, or seconds (``10s``). LTR's scripts have 200 steps; near
            capacity that promotes nearly all requests, in order of arrival.
        quantum: tokens (LTR's scripts: 10).

    Raises:
        ValueError: if the quantum is below 1.
    """

    name = "bound"
    still = True

    def __init__(self, policy: Policy, threshold: Threshold = _STEPS, quantum: int = 20) -> None:
        if quantum < 1:
            raise ValueError(f"the quantum of a bound is at least 1 token, not {quantum}")
        super().__init__(policy)
        # Where seats can be taken, a promotion's end is to be noticed.
        self.steady = policy.steady and not policy.preemptive
        self.threshold, self.quantum = threshold, quantum

    def key(self, request: Request) -> Key:
        if self._goes_by_promotion(request):
            return (_PROMOTED, request.promoted_at)
        return self._policy.key(request)

    def lane(self, request: Request) -> Hashable:
        return "promoted" if self._goes_by_promotion(request) else self._policy.lane(request)

    def place(self, request: Request) -> Key:
        if self._goes_by_promotion(request):
            return (request.promoted_at,)
        return self._policy.place(request)

    def _goes_by_promotion(self, request: Request) -> bool:
        """Whether it is promoted, and not first anyway: a committed one returns before all."""
        return request.promoted and self._policy.key(request) != FIRST

    def preemptible(self, request: Request) -> bool:
        return not request.promoted and self._policy.preemptible(request)

    def may_preempt(self, request: Request) -> bool:
        return self.preemptive and (request.promoted or self._policy.may_preempt(request))

    def holds(self, request: Request) -> float:
        return request.promoted_for or self._policy.holds(request)
