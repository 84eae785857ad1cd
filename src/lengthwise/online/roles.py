"""What is learned: totals from prompts, and remaining tokens from hidden states, in one shape."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lengthwise.answers.arrays import Positions
from lengthwise.core.arrays import Floats, Rng
from lengthwise.core.lengths import Lengths
from lengthwise.online.fitting import fit_probe, fit_prompt
from lengthwise.online.messages import Role
from lengthwise.online.options import Learning
from lengthwise.online.samples import Sample, Samples
from lengthwise.online.states import States
from lengthwise.predictors.along import probabilities, refine_positions
from lengthwise.predictors.base import LengthPredictor, PromptPredictor
from lengthwise.predictors.probe import Probe
from lengthwise.predictors.tracks import Track
from lengthwise.predictors.trail import Trail
from lengthwise.sim.predictors import Guess
from lengthwise.sim.predictors.base import Predictor, Rule
from lengthwise.sim.predictors.recorded import Recorded
from lengthwise.workload.workload import Workload

_BATCH = 64
"""Requests predicted at a time."""


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
        return Guess("prompt", _by_id(samples, self.predicted(predictor, samples)))


class FromStates:
    """TRAIL's probe: predicts what a running request still needs.

    Args:
        prompts: what predicts before it, and instead of it.
    """

    role: Role = "probe"

    def __init__(self, prompts: FromPrompts) -> None:
        self._prompts = prompts
        self.prompt: LengthPredictor | None = None

    def learned_from(self, samples: Samples) -> list[Sample]:
        """All samples with hidden states that are not held back."""
        return samples.with_states()

    def unseen(self, samples: Samples, after: int, seconds: float) -> list[Sample]:
        """The latest samples with hidden states that it has not learned from."""
        return samples.unseen(after, seconds, states=True)

    def fit(self, samples: Sequence[Sample], seed: int) -> Trail:
        """The probe of the best of the tapped layers."""
        outcomes = [sample.whole() for sample in samples]
        return fit_probe(outcomes, seed=seed, epochs=self._prompts.epochs)

    def truth(self, samples: Sequence[Sample]) -> NDArray[np.int64]:
        """[n] remaining tokens, each at one position of its answer."""
        return np.array(
            [each.finished.tokens - _states(each).ages[_position(each)] for each in samples],
            dtype=np.int64,
        )

    def predicted(self, predictor: LengthPredictor | None, samples: Sequence[Sample]) -> Floats:
        """[n] expected remaining tokens at those positions; without a probe, by the prompts."""
        if predictor is None:
            ages = np.array([_states(each).ages[_position(each)] for each in samples])
            left: Floats = np.maximum(self._totals(samples) - ages, 1.0)
            return left
        assert isinstance(predictor, Trail)
        return np.array(
            [
                remaining[_position(sample)]
                for sample, remaining in zip(samples, along(predictor, samples), strict=True)
            ]
        )

    def simulated(self, predictor: LengthPredictor | None, samples: Sequence[Sample]) -> Predictor:
        """Predictions at arrival, and with a probe those along the answer."""
        first = self._prompts.predicted(self.prompt, samples)
        if predictor is None:
            return Guess("prompt", _by_id(samples, first))
        assert isinstance(predictor, Trail)
        tracks = {
            sample.finished.asked.id: Track(
                float(total), _states(sample).ages.tolist(), remaining.tolist()
            )
            for sample, total, remaining in zip(
                samples, first, along(predictor, samples), strict=True
            )
        }
        return Recorded(tracks)

    def _totals(self, samples: Sequence[Sample]) -> Floats:
        """[n] expected output tokens by the prompts; where nothing is predicted, their mean."""
        totals = self._prompts.predicted(self.prompt, samples)
        tokens = self._prompts.truth(samples)
        return np.where(np.isnan(totals), tokens.mean() if len(tokens) else 1.0, totals)


def along(trail: Trail, samples: Sequence[Sample]) -> list[Floats]:
    """Refined remaining tokens at the positions of each sample's states."""
    at = positions(trail.probe, samples)
    refined = refine_positions(trail.probe.refiner(), at, probabilities(trail.probe, at, 0))
    remaining = Lengths.of(trail.bins, refined, at.limit).mean()
    ends = np.cumsum([len(_states(sample).ages) for sample in samples])[:-1]
    return np.split(remaining, ends)


def positions(probe: Probe, samples: Sequence[Sample]) -> Positions:
    """The samples' states of the probe's layer, row by row."""
    all_states = [_states(sample) for sample in samples]
    counts = [len(each.ages) for each in all_states]
    request = np.repeat(np.arange(len(samples)), counts)
    age = np.concatenate([each.ages for each in all_states])
    layer = [each.layers.index(probe.layer) for each in all_states]
    current = np.concatenate(
        [each.values[:, k : k + 1] for each, k in zip(all_states, layer, strict=True)]
    )
    first = np.stack(
        [each.values[0, k : k + 1] for each, k in zip(all_states, layer, strict=True)]
    )[request]
    tokens = np.array([sample.finished.tokens for sample in samples])
    most = np.array([sample.finished.asked.max_tokens for sample in samples])
    return Positions(
        request,
        age,
        (tokens[request] - age).astype(np.float32),
        np.maximum(most[request] - age, 1).astype(np.float32),
        np.array([sample.finished.cut for sample in samples])[request],
        current,
        np.zeros_like(first),
        first,
        np.array([sample.prompt_tokens for sample in samples])[request],
    )


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


def _by_id(samples: Sequence[Sample], tokens: Floats) -> Rule:
    ids = (sample.finished.asked.id for sample in samples)
    known = dict(zip(ids, np.maximum(tokens, 1.0).tolist(), strict=True))

    def rule(workload: Workload, rng: Rng) -> Floats:
        return np.array([known[id] for id in workload.id])

    return rule


def _given(sample: Sample) -> float:
    finished = sample.finished
    known = finished.version == 0 and finished.predicted is not None
    return float(finished.predicted or np.nan) if known else np.nan


def _states(sample: Sample) -> States:
    assert sample.finished.states is not None
    return sample.finished.states


def _position(sample: Sample) -> int:
    """The one position of its answer by which a sample is judged, the same each time."""
    return zlib.crc32(sample.finished.asked.id.encode()) % len(_states(sample).ages)
