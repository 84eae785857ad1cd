"""HRRN: highest response ratio next, on predicted lengths (Brinch Hansen 1971)."""

from __future__ import annotations

import math
from collections.abc import Hashable

from lengthwise.core.policy import Key
from lengthwise.core.request import Request
from lengthwise.policies.response_ratio import ResponseRatio

_STEP = math.log(1.1)
"""Predictions are rounded to powers of 1.1, far finer than their errors."""


class HRRN(ResponseRatio):
    """The largest (wait + service) / service first, non-preemptive.

    The order of these ratios is that of wait / service, so it does not depend on the seconds
    a token takes: service is counted in tokens, and no speed has to be known. Requests of
    one (rounded) prediction are served in order of arrival, so about 100 lanes hold all.
    """

    name = "hrrn"

    def waiting_rank(self, request: Request, predicted: float) -> float:
        """The inverse ratio, from 0 to 1; the smallest goes first."""
        return self.inverse_ratio(request, 1.1 ** _bucket(predicted))

    def waiting_lane(self, request: Request, predicted: float) -> Hashable:
        return _bucket(predicted)

    def place(self, request: Request) -> Key:
        return (request.arrival,)


def _bucket(tokens: float) -> int:
    return round(math.log(tokens) / _STEP)
