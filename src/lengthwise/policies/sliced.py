"""``+slice``: any policy at slice boundaries only (SCLS, arXiv 2406.13511)."""

from __future__ import annotations

import math

from lengthwise.core.policy import Policy
from lengthwise.core.request import Request
from lengthwise.policies.wrapper import Wrapper


class Sliced(Wrapper):
    """Serves a request at most ``most`` tokens at a time, then ranks it anew.

    No request loses its seat within a slice: its end is the only point of preemption.

    Args:
        policy: what orders the requests that wait for a slice.
        most: SCLS's S in tokens.

    Raises:
        ValueError: if it is below 1, or the policy has slices of its own.
    """

    name = "slice"
    still = True

    def __init__(self, policy: Policy, most: int = 128) -> None:
        if most < 1:
            raise ValueError("a slice has at least 1 token")
        if policy.slice < math.inf:
            raise ValueError("it serves in slices already")
        super().__init__(policy)
        self.preemptive = False
        # A request that no other can displace need not be looked at again.
        self.steady = True
        self.slice = most

    def preemptible(self, request: Request) -> bool:
        return False

    def may_preempt(self, request: Request) -> bool:
        return False
