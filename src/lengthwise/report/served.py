"""The requests of one run, as charts read them: from a bench, a simulation or a log alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from lengthwise.core.arrays import Floats
from lengthwise.core.service import Classes
from lengthwise.results.files import RequestRow
from lengthwise.results.promises import services
from lengthwise.results.timings import Times
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
        service: n names of service classes, or none where there are no classes.
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
    service: Sequence[str] = ()

    @classmethod
    def of(cls, rows: Sequence[RequestRow], name: str, classes: Classes | None = None) -> Served:
        """From the lines of a ``requests-N.jsonl``, in order of arrival.

        Args:
            classes: say which class each request is in, by its tenant and priority; without
                them it is in the one that its line names.
        """
        rows = sorted(rows, key=lambda row: row.arrival)
        predicted = [None if row.predicted is UNSET else row.predicted for row in rows]
        tenants = [row.tenant for row in rows]
        service = [row.service for row in rows if isinstance(row.service, str)]
        if classes is not None:
            service = services(classes, tenants, [row.priority for row in rows])
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
            service if len(service) == len(rows) else (),
        )

    def __len__(self) -> int:
        return len(self.arrival)

    def only(self, own: NDArray[np.bool_], name: str) -> Served:
        """Some of the requests, [n] whether each is among them, as a run of another name."""
        at = np.flatnonzero(own)

        def some(names: Sequence[Any]) -> list[Any]:
            return [names[i] for i in at] if len(names) else []

        return Served(
            name,
            self.arrival[at],
            self.first[at],
            self.finish[at],
            self.prompt[at],
            self.output[at],
            None if self.gap is None else self.gap[at],
            None if self.predicted is None else self.predicted[at],
            some(self.tenant),
            some(self.id),
            some(self.service),
        )

    @property
    def times(self) -> Times:
        """The same as the figures of results.json are made from."""
        gap = np.zeros(len(self)) if self.gap is None else self.gap
        return Times(self.arrival, self.first, self.finish, gap, self.output, self.tenant)

    @property
    def latency(self) -> Seconds:
        """[n] seconds from arrival to the last token."""
        return self.finish - self.arrival

    @property
    def ttft(self) -> Seconds:
        """[n] seconds from arrival to the first token."""
        return self.first - self.arrival
