"""Seconds spent in each part of a step, counted in the process that spends them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass


@dataclass
class Costs:
    """Counters since the last reset; times in seconds.

    ``schedule_s`` is all of schedule(), vLLM's own part included; ``ranking_s`` what
    lengthwise added to it and to the handling of outputs. ``predict_s`` is tap + probe +
    refinement on the worker's step path, ``prompt_s`` what the prompt predictor takes of
    the engine's own process, off that path; ``service_s`` is the processor time of its own
    process, if it has one. ``slices`` counts those after each request's first.
    """

    steps: int = 0
    schedule_s: float = 0.0
    ranking_s: float = 0.0
    predict_s: float = 0.0
    prompt_s: float = 0.0
    service_s: float = 0.0
    pauses: int = 0
    evictions: int = 0
    recomputed_tokens: int = 0
    slices: int = 0

    @contextmanager
    def timed(self, field: str) -> Iterator[None]:
        """Add the time of the block to a field."""
        start = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, field, getattr(self, field) + time.perf_counter() - start)

    def reset(self) -> None:
        """Set every counter to zero."""
        self.__init__()  # type: ignore[misc]

    def snapshot(self) -> dict[str, float]:
        """The counters as a plain dictionary."""
        return asdict(self)


COSTS = Costs()
