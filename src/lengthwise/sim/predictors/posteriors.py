"""What is known of the lengths behind the predictions of an error model: their distributions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lengthwise.core.arrays import Floats
from lengthwise.core.bins import Bins
from lengthwise.core.lengths import Lengths
from lengthwise.sim.predictors.base import Posterior
from lengthwise.workload.workload import Workload

_BINS = 48


def _lognormal(argument: str) -> Posterior:
    """Bayes: the workload's lengths, weighted by how likely each makes the prediction.

    Predictions stay as they were drawn: they are not the means of these distributions.
    """
    sigma = float(argument)

    def posterior(workload: Workload, predicted: Floats) -> Lengths:
        bins = Bins.log(_BINS, float(workload.output.max(initial=1)) + 1.0)
        known = np.bincount(bins.index(workload.output), minlength=len(bins))
        known = known / max(known.sum(), 1)
        # What is floored to one token was one or less: nearly one.
        off = (np.log(np.maximum(predicted, 1.0))[:, None] - np.log(bins.values)) / sigma
        fit = np.log(np.maximum(known, 1e-300)) - off * off / 2
        likely = np.exp(fit - fit.max(axis=1, keepdims=True))
        return Lengths.of(bins, likely / likely.sum(axis=1, keepdims=True))

    return posterior


POSTERIORS: dict[str, Callable[[str], Posterior]] = {"lognormal": _lognormal}
"""Rules whose errors are known well enough, by name; each from the rule's argument."""
