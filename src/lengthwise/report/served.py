"""The requests of one run, as charts read them: from a bench, a simulation or a log alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import UNSET

from lengthwise.core.arrays import Floats
from lengthwise.results.files import RequestRow
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

    @classmethod
    def of(cls, rows: Sequence[RequestRow], name: str) -> Served:
        """From the lines of a ``requests-N.jsonl``, in order of arrival."""
        rows = sorted(rows, key=lambda row: row.arrival)
        predicted = [None if row.predicted is UNSET else row.predicted for row in rows]
        tenants = [row.tenant for row in rows]
        return cls(
            name,
            np.array([row.arrival for row in rows], np.float64),
            np.array([row.first for row in rows], np.float64),
            np.array([row.finish for row in rows], np.float64),
            np.array([row.prompt_tokens for row in rows], np.int64),
            np.array([row.tokens for row in rows], np.int64),
            np.array([row.longest_gap for row in rows], np.float64),
            np.array(predicted, np.float64) if any(it is not None for it in predicted) else None,
            tenants if any(tenants) else (),
            [row.id for row in rows],
        )

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
