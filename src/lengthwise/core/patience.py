"""Who has starved: requests that had no token for a policy's threshold of steps."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

from lengthwise.core.request import Request

R = TypeVar("R")


class Patience(Generic[R]):
    """Watches requests that wait or are paused; O(log n) for each.

    Args:
        threshold: engine steps without a token.
        view: the policy's view of a request.
    """

    def __init__(self, threshold: float, view: Callable[[R], Request]) -> None:
        self._threshold = threshold
        self._view = view
        self._watched: list[tuple[float, int, R]] = []

    def watch(self, request: R, step: int) -> None:
        """The request is without a token from this step on."""
        view = self._view(request)
        view.idle_since = step
        heapq.heappush(self._watched, (step + self._threshold, view.seq, request))

    def starved(self, step: int, idle: Callable[[R], bool]) -> list[R]:
        """Those whose time is up by now and who are still idle; each is told once."""
        found = []
        while self._watched and self._watched[0][0] <= step:
            due, _, request = heapq.heappop(self._watched)
            # It may have been served since, and watched anew or not; or be gone.
            if idle(request) and self._view(request).idle_since + self._threshold == due:
                found.append(request)
        return found

    @property
    def next(self) -> float:
        """The step at which somebody may have starved; infinite if nobody is watched."""
        return self._watched[0][0] if self._watched else float("inf")
