"""Least predicted work: the instance that would be done with the request first."""

from __future__ import annotations

from collections.abc import Sequence

from lengthwise.routing.instance import Flight, Instance
from lengthwise.routing.router import Router


class Predicted(Router):
    """The shortest predicted wait for a seat; where nobody would wait, the least work."""

    name = "predicted"
    predicts = True

    def choose(self, flight: Flight, instances: Sequence[Instance], now: float) -> Instance:
        size = flight.expected
        if instances[0].ranked:
            return min(instances, key=lambda each: each.delay(now, size))
        return min(instances, key=lambda each: (each.wait(now), each.work(now)))
