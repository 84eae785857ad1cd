"""One instance after the other."""

from __future__ import annotations

from collections.abc import Sequence

from lengthwise.routing.instance import Flight, Instance
from lengthwise.routing.router import Router


class RoundRobin(Router):
    """Ignores requests and loads."""

    name = "round-robin"

    def __init__(self) -> None:
        self._turn = 0

    def choose(self, flight: Flight, instances: Sequence[Instance], now: float) -> Instance:
        self._turn += 1
        return instances[(self._turn - 1) % len(instances)]
