"""What an instance holds, laid out in time: when there is room, and which requests slow down."""

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
        left: expected remaining tokens.
        share: of the instance's seats or memory that it takes.
    """

    left: float
    share: float


class Outlook:
    """Times are counted in tokens of a request in a seat.

    Attributes:
        taken: share of seats or memory that all requests take; above 1 where some wait.
        work: remaining tokens, each weighted by its request's share.

    Args:
        seated: requests that have begun, in any order.
        queued: waiting requests, in the order in which they will be served.
    """

    def __init__(self, seated: Sequence[Held], queued: Sequence[Held]) -> None:
        held = (*seated, *queued)
        self.taken = sum(each.share for each in held)
        self.work = sum(each.left * each.share for each in held)
        self._lefts = sorted(each.left for each in held)
        self._sums = [0.0, *accumulate(self._lefts)]
        self._times, self._free = _room(seated, queued)

    def wait(self, share: float) -> float:
        """Tokens until there is room for one more request that takes ``share``."""
        return self._times[min(bisect_left(self._free, share - _EPS), len(self._times) - 1)]

    def beside(self, size: float) -> float:
        """Tokens that all requests decode beside one of ``size``: Σ min(left of each, size)."""
        shorter = bisect_left(self._lefts, size)
        return self._sums[shorter] + size * (len(self._lefts) - shorter)


def _room(seated: Sequence[Held], queued: Sequence[Held]) -> tuple[list[float], list[float]]:
    """Times, and the share free from each on, after all waiting requests were admitted."""
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
