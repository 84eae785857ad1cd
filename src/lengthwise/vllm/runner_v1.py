"""vLLM's first model runner (GPUModelRunner, and CPUModelRunner built on it)."""

from __future__ import annotations

from typing import Any

import numpy as np

from lengthwise.vllm.step import Step, tapped


class RunnerV1:
    """Reads steps off the V1 runner: its input batch holds what was scheduled."""

    def __init__(self, runner: Any, inner: bool = True, last: bool = False) -> None:
        self._runner, self._inner, self._last = runner, inner, last

    def step(self, scheduler_output: Any) -> Step | None:
        """The step that was just launched; None if it computed nothing of any request."""
        state = self._runner.execute_model_state
        states = tapped(state, self._inner, self._last)
        if states is None:
            return None
        batch = self._runner.input_batch
        ids = list(batch.req_ids)
        scheduled = scheduler_output.num_scheduled_tokens
        n = len(ids)
        return Step(
            ids,
            np.fromiter(map(scheduled.__getitem__, ids), np.int64, n),
            batch.num_computed_tokens_cpu[:n].astype(np.int64),
            batch.num_prompt_tokens[:n].astype(np.int64),
            states,
        )
