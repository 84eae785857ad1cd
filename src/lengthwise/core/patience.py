"""Starved requests: those without a token for a policy's threshold of steps or seconds."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from lengthwise.core.request import Request

R = TypeVar("R")


@dataclass(frozen=True)
class Threshold:
    """The longest time that a request may go without a token: engine steps, or seconds.

    Raises:
        ValueError: if it is not positive, or not a whole number of steps.
    """

    amount: float
    seconds: bool = False

    def __post_init__(self) -> None:
        if not self.amount > 0:
            raise ValueError("a threshold is at least 1 step, or more than 0 seconds")
        if not self.seconds and self.amount < math.inf and self.amount != int(self.amount):
            raise ValueError(f"a threshold in steps is a whole number, not {self.amount}")

    @classmethod
    def of(cls, text: str) -> Threshold:
        """``500`` is steps, ``10s`` is seconds."""
        number = text.removesuffix("s")
        return cls(float(number), seconds=number != text)


NEVER = Threshold(math.inf)


class Patience(Generic[R]):
    """Watches requests that wait or are paused; O(log n) for each.

    Args:
        threshold: engine steps or seconds without a token.
        view: the policy's view of a request.
    """

    def __init__(self, threshold: float, view: Callable[[R], Request]) -> None:
        self._threshold = threshold
        self._view = view
        self._watched: list[tuple[float, int, R]] = []

    def watch(self, request: R, now: float) -> None:
        """The request is without a token from this step or second on."""
        view = self._view(request)
        if view.idle_since == now:
            return
        view.idle_since = now
        heapq.heappush(self._watched, (now + self._threshold, view.seq, request))

    def starved(self, now: float, idle: Callable[[R], bool]) -> list[R]:
        """Requests past the threshold by now and still idle; each is returned once."""
        found = []
        while self._watched and self._watched[0][0] <= now:
            due, _, request = heapq.heappop(self._watched)
            # It may have been served since, and watched anew or not; or be gone.
            if idle(request) and self._view(request).idle_since + self._threshold == due:
                found.append(request)
        return found

    @property
    def next(self) -> float:
        """The next step or second at which a request may have starved; infinite for none."""
        return self._watched[0][0] if self._watched else math.inf
