"""A workload as the engines of a run share it: requests, predictions, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lengthwise.core.arrays import Floats, Ints
from lengthwise.core.prediction import Distributions, PredictedBy, Prediction, each_of, point
from lengthwise.core.request import Request
from lengthwise.sim.predictors import Predictor
from lengthwise.workload import Workload


class Traffic:
    """Requests as plain lists (indexing NumPy arrays is slow), predicted once for all instances.

    Args:
        predicting: whether a policy or router reads predictions at arrival.
        refining: whether a policy reads later ones.

    Attributes:
        n: how many requests.
        arrival, prompt, output, prefix: n each; ``output`` is the truth.
        tenant, priority: n each, as the clients sent them.
        initial: n predicted output tokens, NaN for unknown; None without predictions.
        refinements: what refines them, if anything does.
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
        self._source: PredictedBy = "oracle" if predictor.source == "oracle" else "prompt"
        self._distributions: list[Prediction | None] = []
        if predicting:
            predicted = predictor.at_arrival(workload, self.rng)
            self.initial = predicted.tolist()
            lengths = predictor.lengths(workload, predicted)
            if lengths is not None:
                self._distributions = each_of(lengths, self._source, tokens=self.initial)
        self.refinements = predictor.start(workload, self.rng) if refining else None
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

    def prediction(self, i: int) -> Prediction | None:
        """What was predicted of request i at arrival; for routers."""
        if self._distributions:
            return self._distributions[i]
        return None if self.initial is None else point(self.initial[i], self._source)

    def predict(self, i: int, request: Request) -> None:
        """Request i arrives: its view receives the prediction."""
        if self._distributions:
            request.receive(self._distributions[i])
        elif self.initial is not None:
            request.predict(self.initial[i], self._source)

    def refine(
        self, requests: Sequence[Request], index: Ints, true: Floats, ages: Sequence[int]
    ) -> None:
        """Predict requests ``index`` anew, m each: their views, what is left, and ages."""
        assert self.refinements is not None
        at = np.array(ages)
        found = self.refinements.remaining(index, true, at, self.rng).tolist()
        lengths = self.refinements.lengths(index, at)
        if lengths is None:
            # The usual case, a hundred times a request.
            for request, left, age in zip(requests, found, ages, strict=True):
                request.refine(left, age)
            return
        batch = Distributions(lengths)
        for row, request in enumerate(requests):
            request.refine(found[row], ages[row], batch, row)
