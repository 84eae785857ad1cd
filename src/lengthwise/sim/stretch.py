"""Time in the simulated engine: what steps take, and how many pass without a decision."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lengthwise.core.policy import Policy
from lengthwise.sim.decodes import Job
from lengthwise.sim.seating import SimulatedEngine


@dataclass(slots=True)
class Doing:
    """The steps under way.

    Attributes:
        steps, seconds: how many, and what they take.
        sampling: jobs whose prompts they complete.
        stop: whether an arrival is admitted, or compared, at the end of the step it falls
            into; else at the end of all of them.
    """

    steps: int
    seconds: float
    sampling: list[Job]
    stop: bool = False


class Stretch:
    """How many decode steps the engine takes as one.

    Args:
        refined: tokens between two predictions of a request; None if there is one only.
    """

    def __init__(self, engine: SimulatedEngine, policy: Policy, refined: int | None) -> None:
        self._engine = engine
        self._policy = policy
        self._telling = policy.listens
        self._refined = refined

    def steps(self) -> int:
        """Decode steps until something may have to be decided."""
        engine = self._engine
        seating = engine.seating
        steps = engine.decodes.until_end()
        if self._refined is not None and seating.contested:
            steps = min(steps, self._refined)
        if not self._policy.steady and seating.contested:
            holds = min(self._policy.holds(engine.view(job)) for job in engine.running)
            steps = max(int(min(holds, steps)), 1)
        if seating.bounded:
            steps = self._until_promotion(steps)
        return engine.decodes.lasts(engine.free, steps)

    def interrupt(self, doing: Doing, job: Job, now: float) -> None:
        """End the steps under way where an arrival among them may move a seat."""
        engine, clock = self._engine, self._engine.clock
        seating = engine.seating
        full = len(engine.running) >= engine.seats
        decisive = not full or self._telling or seating.beats(job)
        if not decisive and not seating.bounded:
            return
        after = clock.steps_until(now, doing.steps)
        if seating.bounded:
            by_seconds = self._policy.threshold.seconds
            since = clock.now + clock.decoding(after) if by_seconds else clock.steps + after
            seating.idle(job, since)
        if decisive:
            seating.unsettled = full
            doing.steps, doing.stop = after, False
        else:
            doing.steps = self._until_promotion(doing.steps)
        doing.seconds = clock.decoding(doing.steps)

    def _until_promotion(self, steps: int) -> int:
        """Decode steps after which a request may have starved, at most ``steps``."""
        due, clock = self._engine.seating.next_promotion, self._engine.clock
        if not self._policy.threshold.seconds:
            return max(int(min(due - clock.steps, steps)), 1)
        return steps if due == math.inf else clock.steps_until(due, steps)
