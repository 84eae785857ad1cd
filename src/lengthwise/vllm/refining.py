"""The probe at work in the worker: one MLP call a step, refined request by request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lengthwise.core.bins import Floats
from lengthwise.predictors.probe import Probe
from lengthwise.vllm.costs import COSTS
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
        self._beliefs: dict[str, tuple[int, Floats]] = {}
        self._pending: _Pending | None = None

    def observe(self, observation: Observation) -> None:
        """Launch the probe on this step's states."""
        rows_due = [i for i, id_ in enumerate(observation.ids) if self._due(id_, observation, i)]
        due = np.array(rows_due, dtype=np.int64)
        current = observation.current[:, 0]
        mean, last = observation.prompt_mean[:, 0], observation.prompt_end[:, 0]
        if len(due) < len(observation.ids):
            rows = torch.from_numpy(due).to(current.device)
            current, mean, last = current[rows], mean[rows], last[rows]
        generated, prompts = observation.generated[due], observation.prompt_tokens[due]
        probe, device = self._probe, current.device
        logits = probe(
            probe.features(
                current,
                mean,
                last,
                torch.from_numpy(generated).to(device),
                torch.from_numpy(prompts).to(device),
            )
        )
        # Not waited for here: on a GPU the copy runs behind the sampler.
        probabilities = logits.softmax(dim=1).to("cpu", non_blocking=True)
        copied = None
        if device.type == "cuda":
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record()
        ids = [observation.ids[i] for i in due]
        self._pending = _Pending(ids, generated, probabilities, copied)

    def _due(self, request_id: str, observation: Observation, i: int) -> bool:
        belief = self._beliefs.get(request_id)
        return belief is None or observation.generated[i] - belief[0] >= self._interval

    def output(self, output: Any) -> Any:
        """Attach predictions now, or when an asynchronous output is fetched."""
        pending, self._pending = self._pending, None
        if pending is None or output is None:
            return output
        if hasattr(output, "get_output"):
            return _LateOutput(output, self, pending)
        with COSTS.timed("predict_s"):
            setattr(output, ATTRIBUTE, self.refine(pending))
        return output

    def forget(self, request_id: str) -> None:
        """Drop a finished request's belief."""
        self._beliefs.pop(request_id, None)

    def refine(self, pending: _Pending) -> Predictions:
        """Combine new probabilities with each request's belief so far."""
        if pending.copied is not None:
            pending.copied.synchronize()
        evidence = pending.probabilities.numpy().astype(np.float32)
        belief = evidence.copy()
        by_tokens: dict[int, list[int]] = {}
        for i, request_id in enumerate(pending.ids):
            if request_id in self._beliefs:
                tokens = int(pending.generated[i]) - self._beliefs[request_id][0]
                by_tokens.setdefault(tokens, []).append(i)
        # Each request has its own step counter; most moved by the same one step.
        for tokens, rows in by_tokens.items():
            prior = np.stack([self._beliefs[pending.ids[i]][1] for i in rows])
            prior = self._refiner.shift(prior, tokens)
            belief[rows] = self._refiner.update(prior, evidence[rows], tokens)
        for i, request_id in enumerate(pending.ids):
            self._beliefs[request_id] = (int(pending.generated[i]), belief[i])
        return Predictions(pending.ids, pending.generated, belief)


@dataclass(frozen=True)
class _Pending:
    ids: list[str]
    generated: NDArray[np.int64]
    probabilities: torch.Tensor
    copied: Any


class _LateOutput:
    """An AsyncModelRunnerOutput that adds the predictions when vLLM fetches it."""

    def __init__(self, inner: Any, refining: Refining, pending: _Pending) -> None:
        self._inner, self._refining, self._pending = inner, refining, pending

    def get_output(self) -> Any:
        """vLLM's output with the predictions; called in vLLM's output thread."""
        output = self._inner.get_output()
        setattr(output, ATTRIBUTE, self._refining.refine(self._pending))
        return output

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
