"""What every way of calibrating gives: seconds of a step, and how far they may be wrong."""

from __future__ import annotations

from dataclasses import dataclass

from lengthwise.sim.steps import StepTime


@dataclass(frozen=True)
class Calibration:
    """A simulated engine's speed and size, as far as a source tells them.

    Attributes:
        steps: seconds of a step.
        source: where they come from, as part of a sentence.
        error: mean absolute error on the data that they come from, as a share of the
            measured figure; None if there is no such data (a datasheet).
        error_of: what the error is of: ``a step``, ``a request's latency``.
        fastest, slowest: factors of the seconds of a step between which the engine lies with
            95 % confidence, as far as the source can tell.
        seats: most requests in a step (vLLM's max_num_seqs); None if the source does not tell,
            and so for the others.
        budget: most tokens in a step (max_num_batched_tokens).
        kv_tokens: tokens that the KV cache holds.
        block_size: tokens in a block of it.
        notes: what was worked out or assumed, a sentence each.
    """

    steps: StepTime
    source: str
    error: float | None
    error_of: str = "a step"
    fastest: float = 1.0
    slowest: float = 1.0
    seats: int | None = None
    budget: int | None = None
    kv_tokens: int | None = None
    block_size: int | None = None
    notes: tuple[str, ...] = ()
