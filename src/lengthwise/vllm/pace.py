"""How long the engine's steps take, as the scheduler sees it: a step in eight is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lengthwise.vllm.steps import composition

_EVERY = 8
"""Steps of which one is looked at: reading what a step holds costs as much as the ranks do."""

_TOGETHER = 16
"""Steps that are handed on together."""


class Pace:
    """Seconds from a step's scheduling to the next one's, which follows at once while it works.

    Args:
        scheduler: vLLM's.
        clock: seconds, without those in which the engine was made to wait.
    """

    def __init__(self, scheduler: Any, clock: Callable[[], float]) -> None:
        self._scheduler, self._clock = scheduler, clock
        self._count = 0
        self._made: tuple[int, int, int] | None = None
        self._began = 0.0
        self._rows: list[tuple[int, int, int, float]] = []

    def begins(self) -> None:
        """A step is about to be scheduled."""
        if self._made is not None:
            self._rows.append((*self._made, self._clock() - self._began))
            self._made = None

    def scheduled(self, output: Any) -> None:
        """It was."""
        self._count += 1
        if self._count % _EVERY == 0 and output.total_num_scheduled_tokens:
            self._made, self._began = composition(self._scheduler, output), self._clock()

    def idles(self) -> None:
        """Nothing is left to do: what comes next did not wait for the step."""
        self._made = None

    def take(self) -> list[tuple[int, int, int, float]]:
        """Prefill tokens, decodes, context tokens and seconds of enough steps, or of none."""
        if len(self._rows) < _TOGETHER:
            return []
        rows, self._rows = self._rows, []
        return rows
