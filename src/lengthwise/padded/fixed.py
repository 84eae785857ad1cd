"""Vanilla fixed batches, and SLS: the baselines of Magnus and of SCLS."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence

from lengthwise.core.policy import Key, Policy
from lengthwise.core.request import Request
from lengthwise.padded.base import Batch, Ran, System
from lengthwise.policies.fcfs import FCFS


class Fixed(System):
    """Batches of a fixed size, in a policy's order; equal requests in the order they queued.

    An idle instance takes up to ``size`` waiting requests; it does not wait for more.

    Args:
        name: what the command line calls it.
        size: requests in a batch.
        queues: 1 is a queue that the instances share; with as many as instances, requests
            go to these in turn as they come.
        slice: most tokens a batch runs for; unfinished requests then queue again.
        policy: the order; its keys must not move while a request waits. By default, the order
            of arrival.
    """

    def __init__(
        self,
        name: str,
        size: int,
        queues: int = 1,
        slice: int | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.name, self._size, self._slice = name, size, slice
        self._policy = policy or FCFS()
        self._queues: list[list[tuple[Key, int, Request]]] = [[] for _ in range(queues)]
        self._halves: list[deque[Batch]] = [deque() for _ in range(queues)]
        self._turn = 0

    def add(self, request: Request, now: float) -> None:
        queue = self._queues[self._turn % len(self._queues)]
        heapq.heappush(queue, (self._policy.key(request), self._turn, request))
        self._turn += 1

    def assign(self, now: float, idle: Sequence[int]) -> list[tuple[int, Batch]]:
        found = [(instance, self._next(instance % len(self._queues))) for instance in idle]
        return [(instance, batch) for instance, batch in found if batch is not None]

    def ran(self, instance: int, batch: Batch, ran: Ran) -> None:
        """Nothing is learned."""

    def split(self, instance: int, batch: Batch) -> None:
        self._halves[instance % len(self._queues)].extend(batch.halves())

    def _next(self, number: int) -> Batch | None:
        halves, queue = self._halves[number], self._queues[number]
        if halves:
            return halves.popleft()
        taken = [heapq.heappop(queue)[-1] for _ in range(min(self._size, len(queue)))]
        return Batch(taken, self._slice) if taken else None
