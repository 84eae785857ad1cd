"""The hidden-state tap: chosen layers' outputs of each step, request by request.

It asks the model for auxiliary outputs (as EAGLE-3 does), which survive compilation
and CUDA graphs where a forward hook would not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from lengthwise.errors import UserError
from lengthwise.metrics.counters import COSTS

WANTED = "lengthwise_wanted"
"""Name of the flag on vLLM's SchedulerOutput, pickled to the worker: False if nobody
will read this step's predictions. Without the flag they are wanted."""


@dataclass(frozen=True)
class Observation:
    """What one step showed of the n requests that sample a token in it.

    Attributes:
        ids: the n request ids.
        generated: [n] generated tokens each had before this step.
        prompt_tokens: [n] prompt lengths in tokens.
        current: [n, layers, d] states at each request's last token.
        prompt_mean: [n, layers, d] means over the prompt tokens that were computed
            (tokens found in the prefix cache never are, so they are left out).
        prompt_end: [n, layers, d] states at each prompt's last token, always computed.
    """

    ids: list[str]
    generated: NDArray[np.int64]
    prompt_tokens: NDArray[np.int64]
    current: torch.Tensor
    prompt_mean: torch.Tensor
    prompt_end: torch.Tensor


class Observer(Protocol):
    """What uses the states: the probe while serving, the recorder while collecting."""

    def observe(self, observation: Observation) -> None:
        """Called once a step, right after the forward pass was launched."""

    def output(self, output: Any) -> Any:
        """The model runner's output, with what the observer adds."""

    def forget(self, request_id: str) -> None:
        """The request has finished."""


def upload(values: NDArray[Any], device: torch.device) -> torch.Tensor:
    """Host values on the device; on a GPU without waiting for the copy."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


@dataclass(slots=True)
class _Seen:
    """One request: its row of prompt states, prompt position reached, last step observed."""

    row: int
    position: int = 0
    summed: int = 0
    generated: int = -1


class Tap:
    """Wraps a model runner's ``execute_model`` and ``sample_tokens``.

    Args:
        runner: vLLM's GPUModelRunner (V1) or CPUModelRunner, after load_model.
        layers: decoder layers whose output to take, 1 the first; 0 is the embedding.
        observer: receives the states.

    Raises:
        UserError: if the runner or the model cannot give hidden states.
    """

    def __init__(self, runner: Any, layers: list[int], observer: Observer) -> None:
        model = runner.get_model()
        if not hasattr(runner, "input_batch"):
            raise UserError(
                "the hidden-state tap needs vLLM's V1 model runner: set VLLM_USE_V2_MODEL_RUNNER=0"
            )
        if not hasattr(model, "set_aux_hidden_state_layers"):
            raise UserError(f"{type(model).__name__} does not offer hidden states to the probe")
        if runner.use_aux_hidden_state_outputs:
            raise UserError("speculative decoding already uses the model's hidden states")
        model.set_aux_hidden_state_layers(tuple(layers))
        runner.use_aux_hidden_state_outputs = True
        self._runner = runner
        self._observer = observer
        self._seen: dict[str, _Seen] = {}
        self._free: list[int] = []
        # Of each request: sum over its prompt's tokens, and the last of them.
        self._prompts: torch.Tensor | None = None
        self._execute, self._sample = runner.execute_model, runner.sample_tokens
        runner.execute_model, runner.sample_tokens = self.execute_model, self.sample_tokens

    @torch.inference_mode()
    def execute_model(self, scheduler_output: Any, *args: Any, **kwargs: Any) -> Any:
        """The runner's own, then one look at the states it left."""
        for request_id in scheduler_output.finished_req_ids:
            self._forget(request_id)
        result = self._execute(scheduler_output, *args, **kwargs)
        state = self._runner.execute_model_state
        if state is not None and state.aux_hidden_states:
            with COSTS.timed("predict_s"):
                self._read_prompts(scheduler_output, state.aux_hidden_states)
                observation = None
                if getattr(scheduler_output, WANTED, True):
                    observation = self._look(scheduler_output, state.aux_hidden_states)
                if observation is not None:
                    self._observer.observe(observation)
        return result

    def sample_tokens(self, *args: Any, **kwargs: Any) -> Any:
        """The runner's own; the observer may add to its output."""
        return self._observer.output(self._sample(*args, **kwargs))

    def _read_prompts(self, scheduler_output: Any, states: list[torch.Tensor]) -> None:
        """Keep what this step computes of prompts, also if no observer reads it yet."""
        end = 0
        for request_id in self._runner.input_batch.req_ids:
            start = end
            end += scheduler_output.num_scheduled_tokens[request_id]
            request = self._runner.requests[request_id]
            if request.num_computed_tokens < request.num_prompt_tokens:
                self._add_prompt(request_id, request, start, end, states)

    def _look(self, scheduler_output: Any, states: list[torch.Tensor]) -> Observation | None:
        ids, rows, last, generated, prompts = [], [], [], [], []
        end = 0
        for request_id in self._runner.input_batch.req_ids:
            tokens = scheduler_output.num_scheduled_tokens[request_id]
            end += tokens
            request = self._runner.requests[request_id]
            seen = self._track(request_id, states)
            prompt = request.num_prompt_tokens
            age = request.num_computed_tokens + tokens - prompt
            # Below 0 the prompt goes on; at or below the last one it is recomputed.
            if age > seen.generated:
                seen.generated = age
                ids.append(request_id)
                rows.append(seen.row)
                last.append(end - 1)
                generated.append(age)
                prompts.append(prompt)
        if not ids:
            return None
        assert self._prompts is not None
        device = self._prompts.device
        read = self._prompts[upload(np.array(rows), device)]
        counts = [max(self._seen[request_id].summed, 1) for request_id in ids]
        divisor = upload(np.array(counts, dtype=np.float32), device)
        at = upload(np.array(last), device)
        return Observation(
            ids,
            np.array(generated),
            np.array(prompts),
            torch.stack([state[at] for state in states], dim=1).float(),
            read[:, 0] / divisor[:, None, None],
            read[:, 1],
        )

    def _add_prompt(
        self, request_id: str, request: Any, start: int, end: int, states: list[torch.Tensor]
    ) -> None:
        """Add the prompt tokens this chunk computes for the first time to the sums."""
        seen = self._track(request_id, states)
        before = request.num_computed_tokens
        first = max(before, seen.position)
        past = min(before + end - start, request.num_prompt_tokens)
        if first >= past:
            return
        assert self._prompts is not None
        low, high = start + first - before, start + past - before
        for layer, state in enumerate(states):
            self._prompts[seen.row, 0, layer] += state[low:high].sum(dim=0, dtype=torch.float32)
            self._prompts[seen.row, 1, layer] = state[high - 1]
        seen.position = past
        seen.summed += past - first

    def _track(self, request_id: str, states: list[torch.Tensor]) -> _Seen:
        seen = self._seen.get(request_id)
        if seen is None:
            if not self._free:
                self._grow(states)
            seen = self._seen[request_id] = _Seen(self._free.pop())
        return seen

    def _grow(self, states: list[torch.Tensor]) -> None:
        old = 0 if self._prompts is None else len(self._prompts)
        shape = (max(old, 64), 2, len(states), states[0].shape[-1])
        extra = torch.zeros(shape, device=states[0].device)
        self._prompts = extra if self._prompts is None else torch.cat([self._prompts, extra])
        self._free.extend(range(old, len(self._prompts)))

    def _forget(self, request_id: str) -> None:
        seen = self._seen.pop(request_id, None)
        if seen is not None:
            assert self._prompts is not None
            self._prompts[seen.row] = 0
            self._free.append(seen.row)
        self._observer.forget(request_id)
