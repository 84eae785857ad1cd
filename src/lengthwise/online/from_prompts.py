"""Learned from prompts: the output tokens of a request, when it arrives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.arrays import Floats
from lengthwise.online.fitting import fit_prompt
from lengthwise.online.messages import Role
from lengthwise.online.options import Learning
from lengthwise.online.roles import by_id
from lengthwise.online.samples import Sample, Samples
from lengthwise.predictors.base import LengthPredictor, PromptPredictor
from lengthwise.sim.predictors import Guess
from lengthwise.sim.predictors.base import Predictor

_BATCH = 64
"""Requests predicted at a time."""


class FromPrompts:
    """Predicts a request's output tokens when it arrives.

    Args:
        model: the served model.
        options: how to learn.

    Attributes:
        epochs: passes over the data; None is the predictor's own number.
    """

    role: Role = "prompt"

    def __init__(self, model: str, options: Learning) -> None:
        self._model, self._options = model, options
        self.epochs = options.epochs

    def learned_from(self, samples: Samples) -> list[Sample]:
        """All samples that are not held back."""
        return samples.learned_from()

    def unseen(self, samples: Samples, after: int, seconds: float) -> list[Sample]:
        """The latest samples that it has not learned from."""
        return samples.unseen(after, seconds, states=False)

    def fit(self, samples: Sequence[Sample], seed: int) -> PromptPredictor:
        """A predictor of the kind that the options name."""
        outcomes = [sample.whole(states=False) for sample in samples]
        options = self._options
        return fit_prompt(outcomes, options.kind, self._model, seed=seed, epochs=options.epochs)

    def truth(self, samples: Sequence[Sample]) -> NDArray[np.int64]:
        """[n] output tokens."""
        return np.array([sample.finished.tokens for sample in samples], dtype=np.int64)

    def predicted(self, predictor: LengthPredictor | None, samples: Sequence[Sample]) -> Floats:
        """[n] expected output tokens; without a version, what was predicted at arrival, if so."""
        if predictor is None:
            # Another version's predictions are not what there is without one.
            return np.array([_given(sample) for sample in samples], dtype=np.float64)
        assert isinstance(predictor, PromptPredictor)
        asked = [sample.whole(states=False).asked for sample in samples]
        parts = (asked[i : i + _BATCH] for i in range(0, len(asked), _BATCH))
        found = [predictor.lengths(part).mean() for part in parts]
        return np.concatenate(found).astype(np.float64) if found else np.zeros(0)

    def simulated(self, predictor: LengthPredictor | None, samples: Sequence[Sample]) -> Predictor:
        """Each request's prediction at its arrival."""
        return Guess("prompt", by_id(samples, self.predicted(predictor, samples)))


def _given(sample: Sample) -> float:
    finished = sample.finished
    known = finished.version == 0 and finished.predicted is not None
    return float(finished.predicted or np.nan) if known else np.nan
