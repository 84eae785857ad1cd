"""Magnus: batches of requests with like predictions, highest response ratio next."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lengthwise.core.policy import Source
from lengthwise.core.request import Request
from lengthwise.padded.base import Batch, Constants, Limits, Ran, System, context
from lengthwise.padded.serving_time import Features, ServingTime
from lengthwise.padded.wma import Waste


@dataclass(eq=False)
class Waiting:
    """A waiting batch, and its predicted length and waste."""

    batch: Batch
    waste: Waste
    since: float

    @property
    def features(self) -> Features:
        """What its serving time is estimated from: size, length and generation length."""
        return self.waste.size, self.waste.length, self.waste.generation


Order = Callable[[list[Waiting], float], int]
"""Chooses the next of the waiting batches, at a time in seconds."""


def oldest(waiting: list[Waiting], now: float) -> int:
    """First come, first served."""
    return min(range(len(waiting)), key=lambda i: waiting[i].since)


class HighestResponseRatio:
    """The batch whose oldest member has waited longest for its estimated serving time."""

    def __init__(self, time: ServingTime) -> None:
        self._time = time

    def __call__(self, waiting: list[Waiting], now: float) -> int:
        seconds = self._time([each.features for each in waiting], now)
        ratios = [
            (now - each.since) / max(time, 1e-9)
            for each, time in zip(waiting, seconds, strict=True)
        ]
        # At equal ratios, such as a burst's, the shortest.
        return max(range(len(waiting)), key=lambda i: (ratios[i], -seconds[i]))


class Magnus(System):
    """Batches by wasted memory accesses (arXiv 2406.04785).

    An arrival joins the waiting batch whose waste is least with it, if that is below Φ and
    the batch's predicted memory fits; else it opens a new one. A request without a
    prediction counts as the longest there may be.

    Args:
        name: what the command line calls it.
        limits, constants: memory; Φ, and maximum or sum.
        most: requests in a batch; infinite is the whole Magnus, the fixed size its first step.
        highest: whether batches go by response ratio; else the oldest first.
    """

    source: ClassVar[Source] = "prompt"

    def __init__(
        self,
        name: str,
        limits: Limits,
        constants: Constants,
        most: float = math.inf,
        highest: bool = True,
    ) -> None:
        self.name, self._limits, self._constants, self._most = name, limits, constants, most
        self._memory = constants.theta * limits.memory
        self._time = ServingTime(limits.time, constants.neighbours, constants.refresh)
        self._order: Order = HighestResponseRatio(self._time) if highest else oldest
        self._waiting: list[Waiting] = []
        self._running: dict[Batch, Waste] = {}

    def add(self, request: Request, now: float) -> None:
        length, generation = context(request), self._generation(request)
        best, least = None, self._constants.phi
        for each in self._waiting:
            if each.batch.closed or each.waste.size >= self._most:
                continue
            waste = each.waste.joined(length, generation)
            value = waste.sum if self._constants.summed else waste.worst
            if value < least and waste.memory <= self._memory:
                best, least = each, value
        if best is None:
            best = Waiting(Batch([]), Waste(), request.arrival)
            self._waiting.append(best)
        best.batch.requests.append(request)
        best.waste = best.waste.joined(length, generation)
        best.since = min(best.since, request.arrival)

    def assign(self, now: float, idle: Sequence[int]) -> list[tuple[int, Batch]]:
        found = []
        for instance in idle[: len(self._waiting)]:
            chosen = self._waiting.pop(self._order(self._waiting, now))
            self._running[chosen.batch] = chosen.waste
            found.append((instance, chosen.batch))
        return found

    def ran(self, instance: int, batch: Batch, ran: Ran) -> None:
        """Learn the batch's time, with the true lengths of its members."""
        waste = self._running.pop(batch)
        if not ran.out_of_memory:
            self._time.saw((waste.size, waste.length, ran.steps), ran.seconds)

    def split(self, instance: int, batch: Batch) -> None:
        for half in batch.halves():
            waste = Waste()
            for request in half.requests:
                waste = waste.joined(context(request), self._generation(request))
            since = min(request.arrival for request in half.requests)
            self._waiting.append(Waiting(half, waste, since))

    def _generation(self, request: Request) -> float:
        most = self._limits.longest - request.prompt_tokens
        return min(request.initial, most) if request.initial is not None else most
