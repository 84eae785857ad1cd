"""vLLM's waiting queue, ordered by a policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from vllm.v1.core.sched.request_queue import RequestQueue

from lengthwise.core.lanes import Lanes
from lengthwise.core.queue import RankQueue


class RankedRequestQueue(RequestQueue):  # type: ignore[misc]
    """A vLLM RequestQueue whose front is the smallest key.

    Prepending (what vLLM does with a preempted request) is adding: the policy
    decides where a request belongs, and its arrival still breaks ties.
    """

    def __init__(self, ranked: RankQueue[Any] | Lanes[Any]) -> None:
        self.ranked = ranked

    def add_request(self, request: Any) -> None:
        self.ranked.push(request)

    def pop_request(self) -> Any:
        return self.ranked.pop()

    def peek_request(self) -> Any:
        return self.ranked.peek()

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
        return len(self.ranked) > 0

    def __len__(self) -> int:
        return len(self.ranked)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.ranked)
