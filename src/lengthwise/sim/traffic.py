"""A workload as the engines of a run share it: requests, predictions, and what became of them."""

from __future__ import annotations

import numpy as np

from lengthwise.sim.predictors import Predictor
from lengthwise.workload import Workload


class Traffic:
    """Requests as plain lists (indexing NumPy arrays is slow), predicted once for everybody.

    Args:
        predicting: whether anybody reads predictions at arrival.
        refining: whether anybody reads later ones.

    Attributes:
        n: how many requests.
        arrival, prompt, output, prefix: n each; ``output`` is the truth.
        tenant, priority: n each, what the clients say.
        initial: n predicted output tokens, NaN for unknown; None if nobody predicts.
        errors: what refines them, if anything does.
        rng: of the predictor's errors.
        first, finish, gap: [n] as in an engine's ``Outcome``, filled as they happen.
    """

    def __init__(
        self,
        workload: Workload,
        predictor: Predictor,
        seed: int = 0,
        predicting: bool = True,
        refining: bool = False,
    ) -> None:
        self.n = len(workload)
        self.arrival: list[float] = workload.arrival.tolist()
        self.prompt: list[int] = workload.prompt.tolist()
        self.output: list[int] = workload.output.tolist()
        self.prefix: list[int] = workload.prefix.tolist()
        self.tenant = workload.tenant or (None,) * self.n
        self.priority: list[int] = workload.priority.tolist()
        self.rng = np.random.default_rng([seed, 3])
        self.initial: list[float] | None = None
        if predicting:
            self.initial = predictor.at_arrival(workload, self.rng).tolist()
        self.errors = predictor.start(workload, self.rng) if refining else None
        self.first = np.full(self.n, np.nan)
        self.finish = np.full(self.n, np.nan)
        self.gap = np.zeros(self.n)

    def backlog(self) -> tuple[int, int]:
        """Requests in the system at the half and at the last of the arrivals."""
        arrival = np.array(self.arrival)
        half, last = (
            int(((arrival < arrival[i]) & ~(self.finish <= arrival[i])).sum())
            for i in (self.n // 2, self.n - 1)
        )
        return half, last
