"""What the seating asks of an engine."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from lengthwise.core.lanes import Lanes
from lengthwise.core.queue import RankQueue
from lengthwise.core.request import Request

R = TypeVar("R", bound=Hashable)


class Ahead(NamedTuple):
    """Who comes before the requests in ``waiting`` in a step, unseen by the seating.

    Attributes:
        seats: seats that the engine gives to them in this step.
        blocks: blocks of KV memory that they take with their seats.
        held: seats that nobody sits in and no waiting request gets; paused ones may.
        closed: whether no waiting request is admitted in this step at all.
    """

    seats: int = 0
    blocks: int = 0
    held: int = 0
    closed: bool = False


NOBODY = Ahead()


class Engine(Protocol[R]):
    """What the seating asks of an engine; vLLM and the simulator both answer.

    Attributes:
        seats: most requests in one step.
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
    def slots(self) -> int:
        """Most requests that can hold a KV cache at once, paused ones included."""

    @property
    def ahead(self) -> Ahead:
        """Who comes before the waiting requests in this step."""

    def view(self, request: R) -> Request:
        """The policy's view of the request, up to date."""

    def admissible(self, request: R, promised: Sequence[R] = ()) -> bool:
        """Whether the engine, where it admits, does not pass over this waiting request now.

        Args:
            promised: waiting requests that get a seat before it.
        """

    def starts(self, request: R, seated: Iterable[R], promised: Sequence[R], spare: int) -> bool:
        """Whether a waiting request that is given a seat has its first tokens in this step.

        Args:
            seated: requests that sit, and are served before it.
            promised: waiting requests that get a seat before it.
            spare: blocks that are left beside all that are needed and promised.
        """

    def sits(self, request: R) -> bool:
        """Whether a paused request that is given a seat has a token in this step."""

    def free_blocks(self) -> int:
        """Free blocks of KV memory."""

    def coming_blocks(self) -> int:
        """Blocks that are free as soon as the engine has done what it is doing."""

    def freed_blocks(self, requests: Sequence[R]) -> int:
        """Blocks that are free once all these are evicted."""

    def needed_blocks(self, request: R) -> int:
        """Free blocks that a waiting request takes for all its tokens, and one more."""

    def growth_blocks(self, seated: Sequence[R]) -> int:
        """Free blocks that seated requests take in this step."""

    def pending_tokens(self, request: R) -> int:
        """Tokens that a request has, and that are not in the KV memory yet."""

    def shared_tokens(self, request: R) -> int:
        """Tokens of a waiting request that others hold in the KV memory already."""

    def evict(self, request: R) -> None:
        """Discard the KV cache of a request and let it wait.

        The seating has taken its seat or its pause by now. An engine that evicts a paused
        request of its own accord calls :meth:`Seats.forget` first.
        """
