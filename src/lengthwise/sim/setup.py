"""What a simulated engine is, and what a run of it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.checks import at_least, not_negative
from lengthwise.core.service import Classes
from lengthwise.errors import UserError

Seconds = NDArray[np.float64]


@dataclass(frozen=True)
class Setup:
    """The simulated engine.

    Attributes:
        seats: most requests in a step (vLLM's max_num_seqs).
        budget: most tokens in a step (max_num_batched_tokens).
        blocks, block_size: KV memory in blocks of so many tokens.
        reserve: blocks that stay free at an admission (vLLM's watermark).
        pause, margin: as in the plug-in's settings.
        paused_per_seat: most paused requests to a seat; None is the policy's own bound.
        eviction: what losing memory costs: computing again, or copying out and in.
        cached: share of an evicted or sliced request's tokens that prefix caching gives back.
        swap_s: seconds to copy one block out and in again.
        interval: tokens between two refinements of a prediction.
        classes: service classes of the requests, if there are any.
    """

    seats: int = 256
    budget: int = 2048
    blocks: int = 25_000
    block_size: int = 16
    reserve: int = 0
    pause: bool = True
    margin: float = 8.0
    paused_per_seat: float | None = None
    eviction: Literal["recompute", "swap"] = "recompute"
    cached: float = 0.0
    swap_s: float = 0.0
    interval: int = 1
    classes: Classes | None = None

    def __post_init__(self) -> None:
        at_least(1, seats=self.seats, kv_blocks=self.blocks, block_size=self.block_size)
        at_least(1, predict_interval=self.interval)
        not_negative(margin=self.margin)
        if self.budget < self.seats:
            raise UserError(f"a budget of {self.budget} tokens cannot serve {self.seats} seats")
        if not 0.0 <= self.cached <= 1.0:
            raise UserError(f"the cached share must be between 0 and 1, not {self.cached}")

    def holds(self, tokens: int) -> bool:
        """Whether a request of so many tokens, prompt and answer, could ever be served."""
        return -(-tokens // self.block_size) + self.reserve <= self.blocks


@dataclass(frozen=True)
class Outcome:
    """What a run did; times in seconds, NaN for requests that were rejected.

    Attributes:
        first, finish: [n] times of the first and the last token.
        gap: [n] longest time between two tokens that a lost seat caused.
        rejected: requests too large for the KV memory.
        steps: engine steps; busy_s the seconds they took.
        backlog: requests in the system at the half and at the last of the arrivals.
    """

    first: Seconds
    finish: Seconds
    gap: Seconds
    rejected: int
    steps: int
    busy_s: float
    pauses: int
    evictions: int
    recomputed: int
    backlog: tuple[int, int]
