"""The requests that lost their seat and kept their KV cache."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable
from operator import itemgetter
from typing import Generic, TypeVar

from lengthwise.core.policy import LAST, Key

R = TypeVar("R", bound=Hashable)


class Paused(Generic[R]):
    """Paused requests, best key first.

    A paused request generates nothing, so its key is the one with which it lost its seat;
    only a timed policy moves it (:meth:`rank_anew`).

    Attributes:
        requests: always the same list.
    """

    def __init__(self) -> None:
        self.requests: list[R] = []
        self._keys: list[Key] = []

    def first(self, sits: Callable[[R], bool]) -> tuple[Key, R | None]:
        """The best of those that would be served if they sat; the last key if there is none."""
        for key, request in zip(self._keys, self.requests, strict=True):
            if sits(request):
                return key, request
        return LAST, None

    def add(self, key: Key, request: R) -> None:
        """Pause a request; among equal keys it comes last."""
        at = bisect_right(self._keys, key)
        self._keys.insert(at, key)
        self.requests.insert(at, request)

    def take_worst(self) -> R:
        """Remove the worst request."""
        self._keys.pop()
        return self.requests.pop()

    def forget(self, request: R) -> None:
        """Remove a request if it is here."""
        for i, paused in enumerate(self.requests):
            if paused is request:
                del self.requests[i], self._keys[i]
                return

    def rank_anew(self, key: Callable[[R], Key]) -> None:
        """Sort by keys read now."""
        pairs = sorted(((key(each), each) for each in self.requests), key=itemgetter(0))
        self._keys[:] = [key for key, _ in pairs]
        self.requests[:] = [request for _, request in pairs]

    def pairs(self) -> list[tuple[Key, R]]:
        """Keys and requests."""
        return list(zip(self._keys, self.requests, strict=True))
