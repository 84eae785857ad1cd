"""vLLM's second model runner, its default on GPUs (vllm.v1.worker.gpu.model_runner)."""

from __future__ import annotations

from typing import Any

import numpy as np

from lengthwise.vllm.step import Step, tapped


class RunnerV2:
    """Reads steps off the V2 runner, from what it keeps on the host: nothing waits for the device.

    It sorts its batch, and gives a request another slot after each preemption: requests are
    known by their ids alone.
    """

    def __init__(self, runner: Any, inner: bool = True, last: bool = False) -> None:
        self._runner, self._inner, self._last = runner, inner, last

    def step(self, scheduler_output: Any) -> Step | None:
        """The step that was just launched; None if it computed nothing of any request.

        Dummy runs (profiling, graph capture, idle ranks of data parallelism) have made-up
        requests, which the runner itself does not know.
        """
        state, known = self._runner.execute_model_state, self._runner.req_states
        states = tapped(state, self._inner, self._last)
        if states is None:
            return None
        batch = state.input_batch
        if not batch.req_ids or batch.req_ids[0] not in known.req_id_to_index:
            return None
        return Step(
            list(batch.req_ids),
            batch.num_scheduled_tokens.astype(np.int64),
            batch.num_computed_tokens_np.astype(np.int64),
            known.prompt_len.np[batch.idx_mapping_np].astype(np.int64),
            states,
        )
