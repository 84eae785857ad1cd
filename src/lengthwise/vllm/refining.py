"""The probe at work in the worker: one MLP call a step, refined request by request."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lengthwise.core.bins import Floats
from lengthwise.predictors.probe import Probe
from lengthwise.vllm.attach import attach
from lengthwise.vllm.observing import Observation
from lengthwise.vllm.transfer import Download, upload

ATTRIBUTE = "lengthwise"
"""Name of the predictions on vLLM's ModelRunnerOutput, pickled between processes."""


@dataclass(frozen=True)
class Predictions:
    """All that travels to the scheduler: refined bin probabilities.

    Attributes:
        ids: n request ids.
        generated: [n] tokens each had generated when its state was read.
        probabilities: [n, k] over the probe's bins of remaining tokens.
        version: the probe's; 0 is the one that was given at the start.
    """

    ids: list[str]
    generated: NDArray[np.int64]
    probabilities: Floats
    version: int = 0


class Refining:
    """Observer that predicts and refines.

    Args:
        probe: on the worker's device.
        interval: run it for a request again after this many of its tokens.
        version: the probe's, which its predictions carry.
    """

    def __init__(self, probe: Probe, interval: int = 1, version: int = 0) -> None:
        self._probe, self._version = probe, version
        self._refiner = probe.refiner()
        self._interval = interval
        self._beliefs: dict[str, _Belief] = {}
        self._pending: _Pending | None = None
        self.reads_means = probe.inputs == "paper"

    def observe(self, observation: Observation) -> None:
        """Launch the probe on this step's states."""
        ids, generated = observation.ids, observation.generated
        beliefs = [self._beliefs.get(id) or self._begin(id) for id in ids]
        current, mean, last = (
            each[:, 0]
            for each in (observation.current, observation.prompt_mean, observation.prompt_end)
        )
        counts = observation.counts
        if self._interval > 1:
            due = np.flatnonzero(
                [self._due(*each) for each in zip(beliefs, generated, strict=True)]
            )
            ids, beliefs = [ids[i] for i in due], [beliefs[i] for i in due]
            generated, rows = generated[due], upload(due, current.device)
            current, mean, last, counts = current[rows], mean[rows], last[rows], counts[:, rows]
            for belief, age in zip(beliefs, generated.tolist(), strict=True):
                belief.asked = age
        probe = self._probe
        logits = probe(probe.features(current, mean, last, counts[0], counts[1]))
        # Not waited for here: on a GPU the copy runs behind the sampler.
        self._pending = _Pending(ids, beliefs, generated, Download(logits.softmax(dim=1)))

    def nobody(self) -> None:
        """Predictions are wanted in a step in which nobody has a state to predict from."""
        none = torch.zeros(0, len(self._probe.bins))
        self._pending = _Pending([], [], np.zeros(0, dtype=np.int64), Download(none))

    def _begin(self, request_id: str) -> _Belief:
        belief = self._beliefs[request_id] = _Belief()
        return belief

    def _due(self, belief: _Belief, age: int) -> bool:
        return belief.asked is None or age - belief.asked >= self._interval

    def output(self, output: Any) -> Any:
        """Attach predictions now, or when an asynchronous output is fetched."""
        pending, self._pending = self._pending, None
        if pending is not None and output is not None:
            attach(output, ATTRIBUTE, partial(self.refine, pending))
        return output

    def forget(self, request_id: str) -> None:
        """Drop a finished request's belief."""
        self._beliefs.pop(request_id, None)

    def refine(self, pending: _Pending) -> Predictions:
        """Combine new probabilities with each request's belief so far.

        Under asynchronous scheduling this runs in vLLM's output thread, step after step. It
        touches the beliefs that came with the step and no dictionary of the step path's.
        """
        evidence = pending.probabilities.numpy().astype(np.float32)
        refined = evidence.copy()
        known: dict[int, list[int]] = {}
        for i, belief in enumerate(pending.beliefs):
            if belief.batch is not None:
                known.setdefault(id(belief.batch), []).append(i)
        # Most were last predicted together: all of those move at once.
        for rows in known.values():
            self._renew(refined, evidence, pending, rows)
        latest = _Batch(pending.generated, refined)
        for i, belief in enumerate(pending.beliefs):
            belief.batch, belief.row = latest, i
        return Predictions(pending.ids, pending.generated, refined, self._version)

    def _renew(self, refined: Floats, evidence: Floats, pending: _Pending, rows: list[int]) -> None:
        """Refine rows whose requests were all last predicted in the same batch."""
        beliefs = [pending.beliefs[i] for i in rows]
        believed = beliefs[0].batch
        assert believed is not None
        before, now = np.array([belief.row for belief in beliefs]), np.array(rows)
        passed = pending.generated[now] - believed.generated[before]
        # Each request has its own step counter; most moved by the same number of tokens.
        for tokens in np.unique(passed).tolist():
            which = np.flatnonzero(passed == tokens)
            prior = self._refiner.shift(believed.probabilities[before[which]], tokens)
            moved = now[which]
            refined[moved] = self._refiner.update(prior, evidence[moved], tokens)


@dataclass(frozen=True)
class _Batch:
    """What was believed of n requests at once: the tokens they had, and [n, k] probabilities."""

    generated: NDArray[np.int64]
    probabilities: Floats


@dataclass(slots=True)
class _Belief:
    """What is believed of one request: a row of the latest batch that it was in.

    ``asked``: tokens it had when the probe was last launched for it.
    """

    asked: int | None = None
    batch: _Batch | None = None
    row: int = 0


@dataclass(frozen=True)
class _Pending:
    ids: list[str]
    beliefs: list[_Belief]
    generated: NDArray[np.int64]
    probabilities: Download
