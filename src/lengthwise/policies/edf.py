"""EDF: the earliest target first (Liu and Layland, 1973)."""

from __future__ import annotations

import math

from lengthwise.core.policy import Key, Policy, Source
from lengthwise.core.request import Request
from lengthwise.core.service import Classes


class EDF(Policy):
    """The request whose first token, or answer, is due first; non-preemptive.

    It knows no lengths and drops no target that is missed already, so in overload it serves
    requests just too late, one after the other. Requests without a target come last, in order
    of arrival.
    """

    name = "edf"
    source: Source = "none"
    preemptive = False
    needs_predictions = False
    promises = True

    def __init__(self) -> None:
        self._within: dict[str, float] = {}

    def promise(self, classes: Classes) -> None:
        for each in classes.all:
            known = (each.target.ttft, each.target.deadline)
            self._within[each.name] = min(
                (one for one in known if one is not None), default=math.inf
            )

    def rank(self, request: Request) -> float:
        return request.arrival + self._within.get(request.service, math.inf)

    def key(self, request: Request) -> Key:
        return (self.rank(request), request.arrival)
