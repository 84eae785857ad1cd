"""Power of two choices (Mitzenmacher 2001): Ray Serve's own default."""

from __future__ import annotations

import random
from collections.abc import Sequence

from lengthwise.routing.instance import Flight, Instance
from lengthwise.routing.router import Router


class TwoChoices(Router):
    """Of two instances drawn at random, the one with fewer requests.

    Args:
        seed: of the draws.
    """

    name = "p2c"

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def choose(self, flight: Flight, instances: Sequence[Instance], now: float) -> Instance:
        drawn = self._random.sample(instances, min(2, len(instances)))
        return min(drawn, key=lambda each: each.in_flight)
