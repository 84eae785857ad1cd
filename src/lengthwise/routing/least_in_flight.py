"""Fewest requests in flight: what most gateways do today."""

from __future__ import annotations

from collections.abc import Sequence

from lengthwise.routing.instance import Flight, Instance
from lengthwise.routing.router import Router


class LeastInFlight(Router):
    """The instance with the fewest requests; among equals, in turn."""

    name = "least-in-flight"

    def __init__(self) -> None:
        self._turn = 0

    def choose(self, flight: Flight, instances: Sequence[Instance], now: float) -> Instance:
        self._turn += 1
        start = self._turn % len(instances)
        return min((*instances[start:], *instances[:start]), key=lambda each: each.in_flight)
