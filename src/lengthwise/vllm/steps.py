"""What a run's steps held and how long they took, in windows of some seconds.

A shared machine is not equally fast from one minute to the next. Near capacity a queue
follows that closely, so a replay must know it.
"""

from __future__ import annotations

from typing import Any

WINDOW_S = 5.0


def composition(scheduler: Any, output: Any) -> tuple[int, int, int]:
    """Prefill tokens, decodes and context tokens of a step that vLLM has just scheduled."""
    prefill = decodes = context = 0
    for request_id, tokens in output.num_scheduled_tokens.items():
        request = scheduler.requests[request_id]
        # vLLM has counted the step's tokens as computed already.
        before = request.num_computed_tokens - tokens
        context += before
        if before < request.num_prompt_tokens:
            prefill += tokens
        else:
            decodes += tokens
    return prefill, decodes, context


class Compositions:
    """Notes what a vLLM scheduler puts into each step."""

    def __init__(self, scheduler: Any) -> None:
        self._made = (0, 0, 0)
        original = scheduler.schedule

        def schedule(*args: Any, **kwargs: Any) -> Any:
            output = original(*args, **kwargs)
            self._made = composition(scheduler, output)
            return output

        scheduler.schedule = schedule

    def take(self) -> tuple[int, int, int]:
        """The latest step's composition, once; zeros if there was none since."""
        made, self._made = self._made, (0, 0, 0)
        return made


class StepLog:
    """Sums over the steps of a vLLM scheduler.

    Attributes:
        windows: for each its start on the run's clock, steps, prefill tokens, decodes,
            context tokens, and the seconds the steps took.
    """

    def __init__(self, steps: Compositions) -> None:
        self.windows: list[list[float]] = []
        self._steps = steps

    def saw(self, start: float, seconds: float) -> None:
        """The step that began at ``start`` has ended; both in seconds."""
        made = self._steps.take()
        if not any(made[:2]):
            return
        begin = start - start % WINDOW_S
        if not self.windows or self.windows[-1][0] != begin:
            self.windows.append([begin, 0, 0, 0, 0, 0.0])
        for i, value in enumerate((1, *made, seconds), 1):
            self.windows[-1][i] += value
