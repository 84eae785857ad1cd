"""The requests of one run, as charts read them: from a bench, a simulation or a log alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lengthwise.core.arrays import Floats
from lengthwise.workload.workload import Seconds, Tokens


@dataclass(frozen=True, eq=False)
class Served:
    """n requests and when they got their tokens; NaN for times that never came.

    Attributes:
        name: of the run in legends: the policy, and its predictor if it has one.
        arrival, first, finish: [n] seconds from the start of the run.
        prompt, output: [n] tokens.
        gap: [n] longest time between two tokens, in seconds; None if not known.
        predicted: [n] output tokens that were predicted at arrival, NaN for unknown; None
            where nothing predicts.
        tenant: n names (None: no tenant), or none.
        id: n ids, or none: then numbers in order of arrival.
    """

    name: str
    arrival: Seconds
    first: Seconds
    finish: Seconds
    prompt: Tokens
    output: Tokens
    gap: Seconds | None = None
    predicted: Floats | None = None
    tenant: Sequence[str | None] = ()
    id: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.arrival)

    @property
    def latency(self) -> Seconds:
        """[n] seconds from arrival to the last token."""
        return self.finish - self.arrival

    @property
    def ttft(self) -> Seconds:
        """[n] seconds from arrival to the first token."""
        return self.first - self.arrival
