"""vLLM's waiting queue, ordered by a policy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from vllm.v1.core.sched.request_queue import FCFSRequestQueue, RequestQueue

from lengthwise.core.foresight import Foresight
from lengthwise.core.lanes import Lanes
from lengthwise.core.queue import RankQueue


class RankedRequestQueue(RequestQueue):  # type: ignore[misc]
    """A vLLM RequestQueue whose front is the request to be admitted next.

    That is the one of smallest key, unless the policy foresees: then the queue is false, though
    not empty, as long as the memory that requests are expected to need would not last. vLLM asks
    whether it is true only where it admits.

    Prepending (what vLLM does with a preempted request) is adding: the policy
    decides where a request belongs, and its arrival still breaks ties.
    """

    def __init__(self, ranked: RankQueue[Any] | Lanes[Any]) -> None:
        self.ranked = ranked
        self.foresight: Foresight[Any] | None = None
        self._front: Any = None

    def add_request(self, request: Any) -> None:
        self.ranked.push(request)

    def pop_request(self) -> Any:
        front, self._front = self._front, None
        if front is None or front not in self.ranked:
            return self.ranked.pop()
        self.ranked.take(front)
        return front

    def peek_request(self) -> Any:
        return self.ranked.peek() if self._front is None else self._front

    def prepend_request(self, request: Any) -> None:
        self.ranked.push(request)

    def prepend_requests(self, requests: Iterable[Any]) -> None:
        for request in requests:
            self.ranked.push(request)

    def remove_request(self, request: Any) -> None:
        self.ranked.remove(request)

    def remove_requests(self, requests: Iterable[Any]) -> None:
        for request in requests:
            if request in self.ranked:
                self.ranked.remove(request)

    def __bool__(self) -> bool:
        if self.foresight is None or not len(self.ranked):
            return len(self.ranked) > 0
        self._front = self.foresight.next()
        return self._front is not None

    def __len__(self) -> int:
        return len(self.ranked)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.ranked)


class HoldersQueue(FCFSRequestQueue):  # type: ignore[misc]
    """vLLM's queue of waiting requests that hold KV memory; the policy is told as of the others.

    Args:
        enters, exits: told of each request that waits here, and that is taken for a seat.
    """

    def __init__(self, enters: Callable[[Any], None], exits: Callable[[Any], None]) -> None:
        super().__init__()
        self._enters, self._exits = enters, exits

    def add_request(self, request: Any) -> None:
        super().add_request(request)
        self._enters(request)

    def pop_request(self) -> Any:
        request = super().pop_request()
        self._exits(request)
        return request

    def prepend_request(self, request: Any) -> None:
        super().prepend_request(request)
        self._enters(request)

    def prepend_requests(self, requests: Iterable[Any]) -> None:
        returned = list(requests)
        super().prepend_requests(returned)
        for request in returned:
            self._enters(request)
