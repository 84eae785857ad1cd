"""The shape of a simulated predictor: what a policy reads instead of the true lengths.

Only these objects and the engine see a workload's true lengths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from lengthwise.core.arrays import Floats, Ints, Rng
from lengthwise.core.lengths import Lengths
from lengthwise.workload.workload import Workload

Source = Literal["none", "prompt", "probe", "oracle"]
Rule = Callable[[Workload, Rng], Floats]
Posterior = Callable[[Workload, Floats], Lengths]


class Refinements(Protocol):
    """A refining predictor's predictions in one run."""

    def remaining(self, index: Ints, true: Floats, age: Ints, rng: Rng) -> Floats:
        """Predicted remaining tokens of the requests ``index``, each [m], none twice.

        ``true`` remaining tokens are at least 1; ages never fall.
        """

    def lengths(self, index: Ints, age: Ints) -> Lengths | None:
        """The m distributions whose means ``remaining`` gives; None if it predicts points."""


class Predictor(Protocol):
    """Predicts output lengths.

    Attributes:
        source: where predictions come from.
        refines: whether it predicts again while a request runs.
    """

    source: Source
    refines: bool

    def at_arrival(self, workload: Workload, rng: Rng) -> Floats:
        """Predicted output tokens of each request, [n]; NaN is unknown.

        Raises:
            UserError: if the predictor does not suit the workload.
        """

    def lengths(self, workload: Workload, predicted: Floats) -> Lengths | None:
        """The n distributions behind what ``at_arrival`` gave; None if it predicts points."""

    def start(self, workload: Workload, rng: Rng) -> Refinements | None:
        """What refines the predictions of one run of the workload, if anything does."""


@dataclass
class Guess:
    """A predictor that speaks once: a rule from the workload to its predictions.

    Attributes:
        posterior: what lengths are likely where the rule gave these; None if that is not said.
    """

    source: Source
    rule: Rule
    refines: bool = False
    posterior: Posterior | None = None

    def at_arrival(self, workload: Workload, rng: Rng) -> Floats:
        """Predicted output tokens by the rule, [n]."""
        return self.rule(workload, rng)

    def lengths(self, workload: Workload, predicted: Floats) -> Lengths | None:
        """The posterior; a rule without one predicts points."""
        return None if self.posterior is None else self.posterior(workload, predicted)

    def start(self, workload: Workload, rng: Rng) -> None:
        """Nothing: it does not refine."""


def unknown(workload: Workload, rng: Rng) -> Floats:
    """The rule that knows nothing: NaN for every request."""
    return np.full(len(workload), np.nan)
