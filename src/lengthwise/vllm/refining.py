"""The probe at work in the worker: one MLP call a step, refined request by request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lengthwise.core.bins import Floats
from lengthwise.metrics.counters import COSTS
from lengthwise.predictors.probe import Probe
from lengthwise.vllm.prompts import upload
from lengthwise.vllm.tap import Observation

ATTRIBUTE = "lengthwise"
"""Name of the predictions on vLLM's ModelRunnerOutput, pickled between processes."""


@dataclass(frozen=True)
class Predictions:
    """All that travels to the scheduler: refined bin probabilities.

    Attributes:
        ids: n request ids.
        generated: [n] tokens each had generated when its state was read.
        probabilities: [n, k] over the probe's bins of remaining tokens.
    """

    ids: list[str]
    generated: NDArray[np.int64]
    probabilities: Floats


class Refining:
    """Observer that predicts and refines.

    Args:
        probe: on the worker's device.
        interval: run it for a request again after this many of its tokens.
    """

    def __init__(self, probe: Probe, interval: int = 1) -> None:
        self._probe = probe
        self._refiner = probe.refiner()
        self._interval = interval
        self._beliefs: dict[str, _Belief] = {}
        self._pending: _Pending | None = None

    def observe(self, observation: Observation) -> None:
        """Launch the probe on this step's states."""
        rows_due = [i for i, id_ in enumerate(observation.ids) if self._due(id_, observation, i)]
        due = np.array(rows_due, dtype=np.int64)
        current = observation.current[:, 0]
        mean, last = observation.prompt_mean[:, 0], observation.prompt_end[:, 0]
        if len(due) < len(observation.ids):
            rows = upload(due, current.device)
            current, mean, last = current[rows], mean[rows], last[rows]
        generated, prompts = observation.generated[due], observation.prompt_tokens[due]
        probe, device = self._probe, current.device
        logits = probe(
            probe.features(
                current,
                mean,
                last,
                *upload(np.stack([generated, prompts]), device),
            )
        )
        # Not waited for here: on a GPU the copy runs behind the sampler.
        probabilities = logits.softmax(dim=1).to("cpu", non_blocking=True)
        copied = None
        if device.type == "cuda":
            # Whoever waits for it sleeps, and leaves the driver's lock to the engine's loop.
            copied = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            copied.record()
        ids = [observation.ids[i] for i in due]
        beliefs = [self._beliefs.setdefault(id, _Belief()) for id in ids]
        for belief, age in zip(beliefs, generated.tolist(), strict=True):
            belief.asked = age
        self._pending = _Pending(ids, beliefs, generated, probabilities, copied)

    def _due(self, request_id: str, observation: Observation, i: int) -> bool:
        belief = self._beliefs.get(request_id)
        return belief is None or observation.generated[i] - belief.asked >= self._interval

    def output(self, output: Any) -> Any:
        """Attach predictions now, or when an asynchronous output is fetched."""
        pending, self._pending = self._pending, None
        if pending is None or output is None:
            return output
        if hasattr(output, "get_output"):
            self._attach_late(output, pending)
            return output
        with COSTS.timed("predict_s"):
            setattr(output, ATTRIBUTE, self.refine(pending))
        return output

    def _attach_late(self, output: Any, pending: _Pending) -> None:
        """Let vLLM's own asynchronous output bring the predictions: executors ask for its type."""
        fetch = output.get_output

        def get_output() -> Any:
            # It is fetched once; until then the output holds itself, and with it GPU memory.
            del output.get_output
            fetched = fetch()
            setattr(fetched, ATTRIBUTE, self.refine(pending))
            return fetched

        output.get_output = get_output

    def forget(self, request_id: str) -> None:
        """Drop a finished request's belief."""
        self._beliefs.pop(request_id, None)

    def refine(self, pending: _Pending) -> Predictions:
        """Combine new probabilities with each request's belief so far.

        Under asynchronous scheduling this runs in vLLM's output thread, step after step. It
        touches the beliefs that came with the step and no dictionary of the step path's.
        """
        if pending.copied is not None:
            pending.copied.synchronize()
        evidence = pending.probabilities.numpy().astype(np.float32)
        refined = evidence.copy()
        by_tokens: dict[int, list[int]] = {}
        priors: dict[int, list[Floats]] = {}
        for i, belief in enumerate(pending.beliefs):
            if belief.probabilities is not None:
                tokens = int(pending.generated[i]) - belief.at
                by_tokens.setdefault(tokens, []).append(i)
                priors.setdefault(tokens, []).append(belief.probabilities)
        # Each request has its own step counter; most moved by the same one step.
        for tokens, rows in by_tokens.items():
            prior = self._refiner.shift(np.stack(priors[tokens]), tokens)
            refined[rows] = self._refiner.update(prior, evidence[rows], tokens)
        for i, belief in enumerate(pending.beliefs):
            belief.at, belief.probabilities = int(pending.generated[i]), refined[i]
        return Predictions(pending.ids, pending.generated, refined)


@dataclass(slots=True)
class _Belief:
    """What is believed of one request: tokens it had when it was last ``asked`` about, and
    ``at`` which the probabilities are."""

    asked: int = 0
    at: int = 0
    probabilities: Floats | None = None


@dataclass(frozen=True)
class _Pending:
    ids: list[str]
    beliefs: list[_Belief]
    generated: NDArray[np.int64]
    probabilities: torch.Tensor
    copied: Any
