"""Magnus over continuous batching: groups of similar length, by response ratio."""

from __future__ import annotations

import math
from collections.abc import Iterable

from lengthwise.core.policy import COMMITTED, Policy, Source, unpredicted
from lengthwise.core.request import Request

_CHOSEN, _OTHERS = 1.0, 2.0


class Magnus(Policy):
    """Requests of similar predicted length are admitted together, the next group by HRRN.

    Magnus (arXiv 2406.04785) batches by predicted length and serves the batch with the highest
    response ratio, queueing time / serving time, next. Continuous batching pads nothing, so a
    group is a band of predicted lengths, closed when its turn comes; its queueing time is its
    first member's, its serving time the longest predicted answer in tokens.

    Args:
        width: a band's longest answers over its shortest.

    Raises:
        ValueError: if it is not above 1.
    """

    name = "magnus"
    source: Source = "prompt"
    preemptive = False
    grouped = True

    def __init__(self, width: float = 2.0) -> None:
        if not 1.0 < width < math.inf:
            raise ValueError(f"the width of Magnus's groups must be above 1, not {width}")
        self._width = width
        self._chosen: set[str] = set()

    def rank(self, request: Request) -> float:
        if request.initial is None:
            return unpredicted(request)
        if request.started:
            return COMMITTED
        return _CHOSEN if request.id in self._chosen else _OTHERS

    def turn(self, now: float, best: Request, waiting: Iterable[Request]) -> bool:
        if best.initial is None or best.started or best.id in self._chosen:
            return False
        groups: dict[int, list[Request]] = {}
        for request in waiting:
            if request.initial is not None:
                groups.setdefault(self._band(request.initial), []).append(request)
        # At the very start of a burst nobody has waited: then the shortest group.
        group = max(groups.items(), key=lambda each: (_ratio(each[1], now), -each[0]))[1]
        self._chosen = {request.id for request in group}
        return True

    def _band(self, tokens: float) -> int:
        return math.floor(math.log(max(tokens, 1.0), self._width))


def _ratio(group: list[Request], now: float) -> float:
    """Response ratio of a group: seconds waited for each predicted token."""
    longest = max(request.initial or 1.0 for request in group)
    return max(request.waiting(now) for request in group) / max(longest, 1.0)
