"""Magnus over continuous batching: groups of similar length, by response ratio."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

from lengthwise.core.policy import Key
from lengthwise.core.request import Request
from lengthwise.policies.response_ratio import ResponseRatio

_CHOSEN = 1.0
"""Rank of the group whose turn it is; other groups follow, by their ratios."""


@dataclass(eq=False)
class _Group:
    """Requests that are admitted together: a band of lengths, and its longest."""

    band: int
    longest: float


class Magnus(ResponseRatio):
    """Requests of similar predicted length are admitted together, the next group by HRRN.

    Magnus (arXiv 2406.04785) batches by predicted length and serves the batch with the highest
    response ratio, queueing time / serving time, next. Continuous batching pads nothing, so a
    group is a band of predicted lengths, closed when its turn comes; its queueing time is its
    first member's, its serving time the longest predicted answer in tokens.

    Args:
        width: ratio of a band's longest to its shortest predicted answers.

    Raises:
        ValueError: if it is not above 1.
    """

    name = "magnus"

    def __init__(self, width: float = 2.0) -> None:
        if not 1.0 < width < math.inf:
            raise ValueError(f"the width of Magnus's groups must be above 1, not {width}")
        super().__init__()
        self._width = width
        self._open: dict[int, _Group] = {}
        self._group_of: dict[str, _Group] = {}
        self._chosen: _Group | None = None

    def waiting_rank(self, request: Request, predicted: float) -> float:
        group = self._group(request.id, predicted)
        if group is self._chosen:
            return _CHOSEN
        return _CHOSEN + self.inverse_ratio(request, group.longest)

    def waiting_lane(self, request: Request, predicted: float) -> Hashable:
        return self._group(request.id, predicted)

    def place(self, request: Request) -> Key:
        return ()

    def exits(self, request: Request) -> None:
        """The first admitted request closes its group; the group's other requests follow."""
        if request.started or request.promoted or request.initial is None:
            return
        self._chosen = group = self._group(request.id, request.initial)
        if self._open.get(group.band) is group:
            del self._open[group.band]

    def leave(self, request: Request) -> None:
        self._group_of.pop(request.id, None)

    def _group(self, id: str, tokens: float) -> _Group:
        """The request's group; a request without one joins the open group of its band."""
        if id not in self._group_of:
            band = math.floor(math.log(max(tokens, 1.0), self._width))
            group = self._open.setdefault(band, _Group(band, 1.0))
            group.longest = max(group.longest, tokens)
            self._group_of[id] = group
        return self._group_of[id]
