"""SCLS: slices, batched by length and time, balanced over instances (arXiv 2406.13511)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lengthwise.core.request import Request
from lengthwise.padded.base import Batch, Constants, Limits, Ran, System
from lengthwise.padded.groups import group

Placement = Callable[[list[Batch], list[float]], list[int]]
"""Chooses an instance for each batch, from the instances' loads in seconds."""

Interval = Callable[[list[float]], float]
"""Seconds until the next round, from the instances' loads in seconds."""


class RoundRobin:
    """Batches go to the instances in turn."""

    def __init__(self) -> None:
        self._turn = 0

    def __call__(self, batches: list[Batch], loads: list[float]) -> list[int]:
        start, self._turn = self._turn, self._turn + len(batches)
        return [(start + i) % len(loads) for i in range(len(batches))]


def max_min(batches: list[Batch], loads: list[float]) -> list[int]:
    """The longest first, each to the instance with the least load by then."""
    loads, chosen = list(loads), [0] * len(batches)
    for i in sorted(range(len(batches)), key=lambda i: -batches[i].estimate):
        chosen[i] = loads.index(min(loads))
        loads[chosen[i]] += batches[i].estimate
    return chosen


@dataclass(frozen=True)
class Adaptive:
    """max(λ · least load, Γ): no instance runs dry, and no round comes sooner than needed."""

    share: float
    gamma: float

    def __call__(self, loads: list[float]) -> float:
        return max(self.share * min(loads), self.gamma)


class SCLS(System):
    """Rounds: all waiting requests are batched, and the batches queue at instances.

    Nothing is predicted: a slice bounds what a batch can cost.

    Args:
        name: what the command line calls it.
        limits, constants: instances, memory and times; S and ζ.
        most: requests in a batch.
        place: which instance a batch goes to.
        interval: when the next round is.
    """

    def __init__(
        self,
        name: str,
        limits: Limits,
        constants: Constants,
        most: float = math.inf,
        place: Placement = max_min,
        interval: Interval | None = None,
    ) -> None:
        self.name, self._limits, self._slice = name, limits, constants.slice
        self._memory = constants.zeta * limits.memory
        self._most, self._place = most, place
        self._interval = interval or Adaptive(constants.share, constants.gamma)
        self._pool: list[Request] = []
        self._queues: list[deque[Batch]] = [deque() for _ in range(limits.instances)]
        self._loads = [0.0] * limits.instances
        self._next_round = -math.inf

    def add(self, request: Request, now: float) -> None:
        self._pool.append(request)

    def assign(self, now: float, idle: Sequence[int]) -> list[tuple[int, Batch]]:
        if self._pool and now >= self._next_round:
            self._round(now)
        return [(each, self._queues[each].popleft()) for each in idle if self._queues[each]]

    def ran(self, instance: int, batch: Batch, ran: Ran) -> None:
        self._loads[instance] -= batch.estimate

    def split(self, instance: int, batch: Batch) -> None:
        for half in reversed(batch.halves()):
            half.estimate = self._limits.time.slice(len(half), half.length, self._slice)
            self._queues[instance].appendleft(half)
            self._loads[instance] += half.estimate

    def wake(self, now: float) -> float:
        return self._next_round if self._pool else math.inf

    def _round(self, now: float) -> None:
        batches = group(self._pool, self._limits.time, self._slice, self._memory, self._most)
        self._pool = []
        for batch, instance in zip(batches, self._place(batches, self._loads), strict=True):
            self._queues[instance].append(batch)
            self._loads[instance] += batch.estimate
        self._next_round = now + self._interval(self._loads)
