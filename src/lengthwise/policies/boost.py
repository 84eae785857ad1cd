"""Boost: least work first, as far as arrivals allow, on a clock of admitted work."""

from __future__ import annotations

import math
from collections.abc import Hashable

from lengthwise.core.policy import Source
from lengthwise.core.request import Request
from lengthwise.policies.backlog import Clocked
from lengthwise.policies.sizes import Sizes
from lengthwise.policies.work import Capacity

_STEP = math.log(1.1)
"""Work is rounded to powers of 1.1, far finer than what is known of it."""

_ALPHA = 1.0 / math.log(100.0)
"""A request a hundred times as large lets those pass that came within the longest backlog."""


class Boost(Clocked):
    """Arrival + alpha P ln(W), the smaller first; non-preemptive.

    gamma-Boost (Yu & Scully 2024) moves the arrival of a size s ahead by
    ln(1 / (1 - exp(-gamma s))) / gamma. For small s that is -ln(gamma s) / gamma, and that is
    taken for all, with 1 / gamma = alpha P. Arrival is the work clock, P the longest backlog of
    late, W the work: no speed has to be known. On that clock a request waits
    P (1 + alpha ln(largest W / least W)) at most, and the largest W.

    Args:
        by: ``work`` ranks by prompt and expected answer, learned from what finished, and needs
            no predictor; ``tokens`` by predicted output tokens, as the paper's sizes would be.

    Raises:
        ValueError: if it is neither.
    """

    name = "boost"
    source: Source = "prompt"
    needs_predictions = False
    reads_cache = True

    def __init__(self, by: str = "work") -> None:
        if by not in ("work", "tokens"):
            raise ValueError(f"boost ranks by work or by tokens, not by {by!r}")
        super().__init__()
        self.needs_predictions = by == "tokens"
        self._by = by
        self._sizes = Sizes()
        self._capacity = Capacity()

    def begins(self, seats: int, kv_tokens: int) -> None:
        self._capacity = Capacity(seats, kv_tokens)

    def work(self, request: Request) -> float | None:
        if self._by == "tokens":
            return None if request.initial is None else max(request.initial, 1.0)
        return self._capacity.work(request, self._sizes.answer(request))

    def waiting_rank(self, came: float, work: float) -> float:
        # 1 and more: who has no prediction is before these.
        return 1.0 + came + _ALPHA * self._backlog.peak * _STEP * _bucket(work)

    def waiting_lane(self, work: float) -> Hashable:
        return _bucket(work)

    def finished(self, request: Request, predicted: float | None) -> None:
        self._sizes.finished(request, predicted)


def _bucket(work: float) -> int:
    return round(math.log(work) / _STEP)
