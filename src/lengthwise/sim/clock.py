"""The simulated engine's clock, and what the steps of now take on it."""

from __future__ import annotations

from collections.abc import Callable

from lengthwise.sim.decodes import Decodes
from lengthwise.sim.steps import StepTime, steps_within


class Clock:
    """Seconds and steps so far.

    Args:
        time: seconds of a step.
        slowness: how many times as long steps take that begin at a time in seconds.
        decodes: what each step decodes.

    Attributes:
        now: seconds since the start.
        busy: seconds spent in steps.
        steps: steps so far.
    """

    def __init__(
        self, time: StepTime, slowness: Callable[[float], float] | None, decodes: Decodes
    ) -> None:
        self._time = time
        self._slowness = slowness
        self._decodes = decodes
        self.now = self.busy = 0.0
        self.steps = 0
        # How many times as long the steps under way take.
        self._slow = 1.0

    def begin(self) -> None:
        """Steps begin now."""
        if self._slowness is not None:
            self._slow = self._slowness(self.now)

    def passed(self, steps: int, seconds: float) -> None:
        """Steps have ended."""
        self.now += seconds
        self.busy += seconds
        self.steps += steps

    def mixed(self, prefill: int, context: int, swap_s: float) -> float:
        """Seconds of a step with prompts in it, and copies of KV memory before it."""
        return (self._time.seconds(prefill, self._decodes.count, context) + swap_s) * self._slow

    def decoding(self, steps: int) -> float:
        """Seconds of a number of decode steps from now."""
        return self._slow * self._time.stretch(steps, self._decodes.count, self._decodes.context)

    def steps_until(self, time: float, most: int) -> int:
        """Decode steps from now that end by this time, within 1 and ``most``."""
        left = (time - self.now) / self._slow
        return steps_within(self._time, left, most, self._decodes.count, self._decodes.context) or 1

    def next_token(self) -> float:
        """When jobs that decode in a step that began now have their next token."""
        token = self._time.seconds(0, self._decodes.count, self._decodes.context)
        return self.now + (token if self._slowness is None else token * self._slowness(self.now))
