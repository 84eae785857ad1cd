"""What the seating asks of an engine."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol, TypeVar

from lengthwise.core.lanes import Lanes
from lengthwise.core.queue import RankQueue
from lengthwise.core.request import Request

R = TypeVar("R", bound=Hashable)


class Engine(Protocol[R]):
    """What the seating asks of an engine; vLLM and the simulator both answer.

    Attributes:
        seats: most requests in one step.
        slots: most requests that can hold a KV cache at once, paused ones included.
        running: the requests in seats; the tail is evicted first when memory runs out.
        waiting: requests without a KV cache, in the policy's order (:func:`waiting_queue`).
        kv_tokens: tokens that the KV memory holds; 0 without such a bound.
        block_tokens: tokens of a request that one block of it holds.
        step_blocks: more blocks of KV memory than one step can take.
        step: engine steps since the start.
        now: time in seconds, on the clock of the requests' arrivals.
        reserve: blocks that must stay free when a request is admitted.
    """

    seats: int
    slots: int
    running: list[R]
    kv_tokens: int
    block_tokens: float
    step_blocks: int
    reserve: int

    @property
    def waiting(self) -> RankQueue[R] | Lanes[R]:
        """Requests without a KV cache, best rank first."""

    @property
    def step(self) -> int:
        """Engine steps since the start."""

    @property
    def now(self) -> float:
        """Seconds, on the clock of the requests' arrivals."""

    @property
    def taken_seats(self) -> int:
        """Seats that go to requests the seating does not see."""

    def view(self, request: R) -> Request:
        """The policy's view of the request, up to date."""

    def admissible(self, request: R) -> bool:
        """Whether a waiting request could be admitted now, memory aside."""

    def free_blocks(self) -> int:
        """Free blocks of KV memory."""

    def held_blocks(self, request: R) -> int:
        """Blocks of KV memory that the request holds."""

    def needed_blocks(self, request: R) -> int:
        """Blocks for all tokens the request has, and one more."""

    def pending_tokens(self, request: R) -> int:
        """Tokens that a request has, and that are not in the KV memory yet."""

    def shared_tokens(self, request: R) -> int:
        """Tokens of a waiting request that others hold in the KV memory already."""

    def evict(self, request: R) -> None:
        """Discard the KV cache of a request and let it wait.

        The seating has taken its seat or its pause by now. An engine that evicts a paused
        request of its own accord calls :meth:`Seats.forget` first.
        """
