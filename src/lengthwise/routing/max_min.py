"""SCLS's max-min offloading (arXiv 2406.13511): longest first, to the least loaded."""

from __future__ import annotations

from collections.abc import Sequence

from lengthwise.routing.instance import Flight, Instance
from lengthwise.routing.router import Router


class MaxMin(Router):
    """Gathers requests, then sends the longest first to the least predicted work.

    Args:
        collect: seconds to gather. SCLS waits for seconds, with slices on static batches;
            requests that stream cannot.
    """

    name = "max-min"
    predicts = True

    def __init__(self, collect: float = 0.1) -> None:
        self.collect = collect

    def order(self, flights: Sequence[Flight]) -> Sequence[Flight]:
        return sorted(flights, key=lambda each: each.expected, reverse=True)

    def choose(self, flight: Flight, instances: Sequence[Instance], now: float) -> Instance:
        return min(instances, key=lambda each: each.work(now))
