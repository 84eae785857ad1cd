"""Learned from hidden states: what a running request still needs."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lengthwise.answers.arrays import Positions
from lengthwise.core.arrays import Floats
from lengthwise.core.lengths import Lengths
from lengthwise.online.fitting import fit_probe
from lengthwise.online.from_prompts import FromPrompts
from lengthwise.online.messages import Role
from lengthwise.online.roles import by_id
from lengthwise.online.samples import Sample, Samples
from lengthwise.online.states import States
from lengthwise.predictors.along import probabilities, refine_positions
from lengthwise.predictors.base import LengthPredictor
from lengthwise.predictors.probe import Probe
from lengthwise.predictors.tracks import Track
from lengthwise.predictors.trail import Trail
from lengthwise.sim.predictors import Guess
from lengthwise.sim.predictors.base import Predictor
from lengthwise.sim.predictors.recorded import Recorded


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
            return Guess("prompt", by_id(samples, first))
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


def _states(sample: Sample) -> States:
    assert sample.finished.states is not None
    return sample.finished.states


def _position(sample: Sample) -> int:
    """The one position of its answer by which a sample is judged, the same each time."""
    return zlib.crc32(sample.finished.asked.id.encode()) % len(_states(sample).ages)
