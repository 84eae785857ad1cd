"""How wrong a refining probe is: a model of its errors, and a predictor that errs so."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lengthwise.core.arrays import Floats, Ints, Rng, floored
from lengthwise.core.lengths import Lengths
from lengthwise.predictors.errors import (
    TRAIL,
    ErrorModel,
)
from lengthwise.sim.predictors.base import Guess, Predictor, Source, unknown
from lengthwise.workload.workload import Workload


class Errors:
    """The errors of n requests in one run; see ``ErrorModel``."""

    def __init__(self, model: ErrorModel, n: int, rng: Rng) -> None:
        bucket = np.searchsorted(model.ages, np.arange(model.ages[-1] + 1), side="right") - 1
        self._last = len(bucket) - 1
        columns = (np.log(model.rho), model.bias, model.slope, model.spread)
        self._by_age = np.array(columns)[:, bucket]
        self._every = model.every
        self._z = rng.standard_normal(n)
        self._at = np.zeros(n)
        self._said = np.full(n, np.nan)

    def remaining(self, index: Ints, true: Floats, age: Ints, rng: Rng) -> Floats:
        """Predicted remaining tokens of the requests ``index``, each [m], none twice.

        ``true`` remaining tokens are at least 1; ages never fall. At an age already seen
        the prediction is the same again.
        """
        since = age - self._at[index]
        due = np.isnan(self._said[index]) | (since >= self._every) | (since == 0)
        if due.all():
            return self._draw(index, true, age, rng)
        found = floored(self._said[index] - since)
        found[due] = self._draw(index[due], true[due], age[due], rng)
        return found

    def lengths(self, index: Ints, age: Ints) -> None:
        """The model of errors predicts points."""

    def _draw(self, index: Ints, true: Floats, age: Ints, rng: Rng) -> Floats:
        log_rho, bias, slope, spread = self._by_age[:, np.minimum(age, self._last)]
        kept = np.exp(log_rho * (age - self._at[index]))
        z = kept * self._z[index] + np.sqrt(1.0 - kept * kept) * rng.standard_normal(len(index))
        self._z[index] = z
        self._at[index] = age
        self._said[index] = floored(np.exp(bias + slope * np.log(true) + spread * z))
        return self._said[index]


@dataclass
class Refined:
    """A probe that predicts again while a request runs, with the model's errors."""

    model: ErrorModel = TRAIL
    prompt: Predictor = field(default_factory=lambda: Guess("none", unknown))
    source: Source = "probe"
    refines: bool = True

    def at_arrival(self, workload: Workload, rng: Rng) -> Floats:
        """Output tokens by the predictor of prompts, [n]: a waiting request has no hidden state."""
        return self.prompt.at_arrival(workload, rng)

    def lengths(self, workload: Workload, predicted: Floats) -> Lengths | None:
        """The prompt's predictor's."""
        return self.prompt.lengths(workload, predicted)

    def start(self, workload: Workload, rng: Rng) -> Errors:
        """The errors of one run."""
        return Errors(self.model, len(workload), rng)
