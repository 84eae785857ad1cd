"""The shape of whatever is learned while serving, and what these have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.arrays import Floats, Rng
from lengthwise.online.messages import Role
from lengthwise.online.samples import Sample, Samples
from lengthwise.predictors.base import LengthPredictor
from lengthwise.predictors.trail import Trail
from lengthwise.sim.predictors.base import Predictor, Rule
from lengthwise.workload.workload import Workload


class Learned(Protocol):
    """A kind of predictor that is learned while serving.

    Attributes:
        role: what it predicts from.
    """

    role: Role

    def learned_from(self, samples: Samples) -> list[Sample]:
        """What a version of it learns from now."""

    def unseen(self, samples: Samples, after: int, seconds: float) -> list[Sample]:
        """What a version has not learned from that was made after sample number ``after``."""

    def fit(self, samples: Sequence[Sample], seed: int) -> LengthPredictor:
        """A version.

        Raises:
            UserError: if nothing can be learned from these.
        """

    def truth(self, samples: Sequence[Sample]) -> NDArray[np.int64]:
        """[n] the tokens that are to be predicted; of cut answers lower bounds."""

    def predicted(self, predictor: LengthPredictor | None, samples: Sequence[Sample]) -> Floats:
        """[n] what a version predicts, or (None) what is predicted without any."""

    def simulated(self, predictor: LengthPredictor | None, samples: Sequence[Sample]) -> Predictor:
        """The same predictions for the simulator, of requests that :func:`workload` made."""


def workload(samples: Sequence[Sample]) -> Workload:
    """The samples as the simulator serves them; they must be in the order of their arrivals."""
    arrival = np.array([sample.finished.arrival for sample in samples])
    return Workload(
        arrival - arrival.min(),
        np.array([max(sample.prompt_tokens, 1) for sample in samples]),
        np.array([max(sample.finished.tokens, 1) for sample in samples]),
        id=tuple(sample.finished.asked.id for sample in samples),
    )


def reads(predictor: LengthPredictor | None, sample: Sample) -> bool:
    """Whether a predictor can say something of this sample: its layer was tapped then."""
    if not isinstance(predictor, Trail):
        return True
    states = sample.finished.states
    return states is not None and predictor.probe.layer in states.layers


def by_id(samples: Sequence[Sample], tokens: Floats) -> Rule:
    """The rule that says these tokens [n] of the samples, by their ids."""
    ids = (sample.finished.asked.id for sample in samples)
    known = dict(zip(ids, np.maximum(tokens, 1.0).tolist(), strict=True))

    def rule(workload: Workload, rng: Rng) -> Floats:
        return np.array([known[id] for id in workload.id])

    return rule
