"""The waiting requests that take a seat in the next step."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from lengthwise.core.engine import Engine
from lengthwise.core.policy import LAST, Policy

R = TypeVar("R", bound=Hashable)

_PASSED = 64
"""Most waiting requests that a look passes over; the engine itself passes over all."""


class Heads(Generic[R]):
    """Takes winners out of the queue, best first, then puts them back for the engine to admit.

    Attributes:
        best, key, may_preempt: the best waiting request that could be admitted, if there is one.
        seats: the engine's, without those that no waiting request gets.
        seated, winners: how many seats are promised, and to whom of the waiting.
        promised: blocks that go with these seats.
    """

    def __init__(self, engine: Engine[R], policy: Policy) -> None:
        self._engine = engine
        self._policy = policy
        self._taken: list[R] = []
        self.winners: list[R] = []
        ahead = engine.ahead
        self.seats = engine.seats - ahead.held
        self.seated, self.promised, self._closed = ahead.seats, ahead.blocks, ahead.closed
        self._passed = 0
        self._look()

    def _look(self) -> None:
        """Find the best waiting request that could be admitted now."""
        waiting = self._engine.waiting
        self.best: R | None = None
        self.key, self.may_preempt = LAST, False
        while waiting and not self._closed:
            request = waiting.peek()
            if not self._engine.admissible(request, self.winners):
                self._taken.append(waiting.pop())
                self._passed += 1
                self._closed = self._passed == _PASSED
                continue
            self.best = request
            view = self._engine.view(request)
            self.key = self._policy.key(view)
            self.may_preempt = self._policy.may_preempt(view)
            return

    def seat(self) -> None:
        """Promise the best waiting request a seat and its blocks, then find the next one."""
        engine = self._engine
        best = engine.waiting.pop()
        self._taken.append(best)
        self.winners.append(best)
        self.seated += 1
        self.promised += engine.needed_blocks(best) + engine.reserve
        self._look()

    def close(self) -> None:
        """No further request is admitted in this step."""
        self._closed = True
        self._look()

    def put_back(self) -> None:
        """Return the winners to the queue: the engine admits them in the same order."""
        for request in self._taken:
            self._engine.waiting.push(request)
