"""Keeps hidden states of sampled positions while ``lengthwise collect`` runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lengthwise.vllm.observing import Observation


class Recorder:
    """Observer that stores states on the host as float16.

    A request's first position (end of prefill), every one of its first ``dense``
    positions and then every ``every``-th are kept: early predictions decide the
    schedule, late ones are many and alike.
    """

    reads_means = True

    def __init__(self, every: int = 8, dense: int = 4) -> None:
        self._every = every
        self._dense = dense
        self._rows: dict[str, list[tuple[int, torch.Tensor]]] = {}
        self._means: dict[str, torch.Tensor] = {}

    def observe(self, observation: Observation) -> None:
        """Keep the sampled positions of this step."""
        for i, request_id in enumerate(observation.ids):
            age = int(observation.generated[i])
            if age < self._dense or age % self._every == 0:
                state = observation.current[i].to("cpu", torch.float16)
                self._rows.setdefault(request_id, []).append((age, state))
            if age == 0:
                self._means[request_id] = observation.prompt_mean[i].to("cpu", torch.float16)

    def output(self, output: Any) -> Any:
        """Nothing to add."""
        return output

    def forget(self, request_id: str) -> None:
        """Nothing to drop: finished requests are what :meth:`take` hands out."""

    def take(self, request_id: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ages [n], states [n, layers, d] and prompt mean [layers, d]; then forgets them."""
        rows = self._rows.pop(request_id)
        ages = np.array([age for age, _ in rows], dtype=np.int32)
        states = torch.stack([state for _, state in rows]).numpy()
        return ages, states, self._means.pop(request_id).numpy()
