"""What an instance holds, laid out in time: how long until there is room, and who is slowed."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

_EPS = 1e-9


@dataclass(frozen=True, slots=True)
class Held:
    """A request that an instance holds.

    Attributes:
        left: expected tokens to come.
        share: of the instance's seats or memory that it takes.
    """

    left: float
    share: float


class Outlook:
    """Times are counted in tokens of a request in a seat.

    Attributes:
        taken: share of seats or memory that all would take; above 1 where some wait.
        work: tokens to come, each by its request's share.

    Args:
        seated: those that have begun, in any order.
        queued: those that wait, in the order in which they will be served.
    """

    def __init__(self, seated: Sequence[Held], queued: Sequence[Held]) -> None:
        held = (*seated, *queued)
        self.taken = sum(each.share for each in held)
        self.work = sum(each.left * each.share for each in held)
        self._lefts = sorted(each.left for each in held)
        self._sums = [0.0, *accumulate(self._lefts)]
        self._times, self._free = _room(seated, queued)

    def wait(self, share: float) -> float:
        """Tokens until there is room for one more that takes such a share."""
        return self._times[min(bisect_left(self._free, share - _EPS), len(self._times) - 1)]

    def beside(self, size: float) -> float:
        """Tokens that all here decode beside one more of so many: Σ min(left of each, size)."""
        shorter = bisect_left(self._lefts, size)
        return self._sums[shorter] + size * (len(self._lefts) - shorter)


def _room(seated: Sequence[Held], queued: Sequence[Held]) -> tuple[list[float], list[float]]:
    """From when on how much is free, after all that wait have been let in."""
    free, now = 1.0 - sum(each.share for each in seated), 0.0
    ends = [(each.left, each.share) for each in seated]
    heapq.heapify(ends)
    for each in queued:
        while free < each.share - _EPS and ends:
            now, freed = heapq.heappop(ends)
            free += freed
        free -= each.share
        heapq.heappush(ends, (now + each.left, each.share))
    ends.sort()
    times = [now, *(end for end, _ in ends)]
    return times, list(accumulate([free, *(share for _, share in ends)]))
