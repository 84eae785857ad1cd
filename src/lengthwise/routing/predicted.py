"""Least predicted time: where a request adds least to all requests' time, its own included."""

from __future__ import annotations

import random
from collections.abc import Sequence

from lengthwise.routing.instance import Flight, Instance
from lengthwise.routing.router import Router

_QUEUE = 5.0
"""Weight of a second of waiting: later requests wait as well, 1 / (1 - load) at 0.8."""

_OWN = 2.0
"""Weight of a second of its own decoding: long answers are the tail."""

_CROWDING = 3.0
"""Extra weight of a second in a full instance, where the next request finds no room."""

_LOOK_AT = 32
"""Most instances compared: more would hardly find a better one (power of d choices)."""


class Predicted(Router):
    """Adds a request's wait and service on an instance to the delay of the requests there.

    Args:
        seed: of the draws where there are too many instances to compare.
    """

    name = "predicted"
    predicts = True

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def choose(self, flight: Flight, instances: Sequence[Instance], now: float) -> Instance:
        drawn = self._random.sample(instances, min(_LOOK_AT, len(instances)))
        return min(drawn, key=lambda each: (added(flight, each, now), each.in_flight))


def added(flight: Flight, instance: Instance, now: float) -> float:
    """Predicted seconds that the request would add to the times of all."""
    capacity, size = instance.capacity, flight.expected
    prefill = instance.uncached(flight) * capacity.prefill_s
    slower = capacity.decode_s + capacity.context_s * (flight.prompt_tokens + 0.5 * size)
    seated = _OWN * size * instance.pace * (1.0 + _CROWDING * instance.taken(now) ** 3)
    own = _QUEUE * instance.queue(now, flight) + seated + prefill
    return own + prefill * instance.in_flight + slower * instance.beside(now, size)
