"""The hidden-state tap: chosen layers' outputs of each step, request by request.

It asks the model for auxiliary outputs (as EAGLE-3 does), which survive compilation
and CUDA graphs where a forward hook would not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from lengthwise.errors import UserError
from lengthwise.metrics.counters import COSTS
from lengthwise.predictors.layers import LAST
from lengthwise.vllm.prompts import Prompts, upload
from lengthwise.vllm.runner_v1 import RunnerV1
from lengthwise.vllm.runner_v2 import RunnerV2
from lengthwise.vllm.step import Ints, Reader, Step

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
        counts: [2, n] the two on the states' device.
        prompt_mean: [n, layers, d] means over the prompt tokens that were computed
            (tokens found in the prefix cache never are, so they are left out); zeros for an
            observer that does not read them.
        prompt_end: [n, layers, d] states at each prompt's last token, always computed.
    """

    ids: list[str]
    generated: Ints
    prompt_tokens: Ints
    counts: torch.Tensor
    current: torch.Tensor
    prompt_mean: torch.Tensor
    prompt_end: torch.Tensor


class Observer(Protocol):
    """What uses the states: the probe while serving, the recorder while collecting.

    Attributes:
        reads_means: whether it reads the means over prompts, which cost the most.
    """

    reads_means: bool

    def observe(self, observation: Observation) -> None:
        """Called once a step, right after the forward pass was launched."""

    def output(self, output: Any) -> Any:
        """The model runner's output, with what the observer adds."""

    def forget(self, request_id: str) -> None:
        """The request has finished."""


class Tap:
    """Wraps a model runner's ``execute_model`` and ``sample_tokens``.

    The states are read on the stream of the forward pass, before the next one can overwrite
    them, and nothing in a step waits for the device.

    Args:
        runner: vLLM's model runner (V1, V2 or the CPU's), after load_model.
        layers: decoder layers whose output to take, 1 the first; 0 is the embedding, and
            ``LAST``, which comes last of them, the last one's after the norm.
        observer: receives the states.

    Raises:
        UserError: if the runner or the model cannot give hidden states.
    """

    def __init__(self, runner: Any, layers: list[int], observer: Observer) -> None:
        inner = [layer for layer in layers if layer != LAST]
        self._reader = reader_of(runner, bool(inner), LAST in layers)
        if inner:
            _ask_for(inner, runner)
        self._observer = observer
        self._prompts: Prompts | None = None
        self._execute, self._sample = runner.execute_model, runner.sample_tokens
        runner.execute_model, runner.sample_tokens = self.execute_model, self.sample_tokens

    @torch.inference_mode()
    def execute_model(self, scheduler_output: Any, *args: Any, **kwargs: Any) -> Any:
        """The runner's own, then one look at the states it left."""
        for request_id in scheduler_output.finished_req_ids:
            self._observer.forget(request_id)
            if self._prompts is not None:
                self._prompts.forget(request_id)
        result = self._execute(scheduler_output, *args, **kwargs)
        step = self._reader.step(scheduler_output)
        if step is not None:
            with COSTS.timed("predict_s"):
                self._look(step, getattr(scheduler_output, WANTED, True))
        return result

    def sample_tokens(self, *args: Any, **kwargs: Any) -> Any:
        """The runner's own; the observer may add to its output."""
        return self._observer.output(self._sample(*args, **kwargs))

    def _look(self, step: Step, wanted: bool) -> None:
        """Keep what the step computes of prompts, and show what it samples from, if wanted."""
        if not wanted and (step.computed >= step.prompts).all():
            return
        if self._prompts is None:
            states = step.states
            shape = (len(states), int(states[0].shape[-1]))
            self._prompts = Prompts(*shape, states[0].device, self._observer.reads_means)
        rows = self._prompts.rows(step)
        self._prompts.add(step, rows)
        if wanted:
            self._show(step, rows, self._prompts)

    def _show(self, step: Step, rows: Ints, prompts: Prompts) -> None:
        # Below 0 the prompt goes on; at or below the last one it is recomputed.
        ages = step.generated
        due = np.flatnonzero(ages > prompts.generated[rows])
        if not len(due):
            return
        rows, generated, lengths = rows[due], ages[due], step.prompts[due]
        prompts.generated[rows] = generated
        # One copy to the device for all that it needs to know.
        numbers = np.stack([step.last[due], rows, prompts.counted(rows), generated, lengths])
        last, row, counted, *_ = on_device = upload(numbers, step.states[0].device)
        mean, end = prompts.read(row, counted)
        self._observer.observe(
            Observation(
                step.ids if len(due) == len(step.ids) else [step.ids[i] for i in due],
                generated,
                lengths,
                on_device[3:],
                _stacked([state.index_select(0, last).float() for state in step.states]),
                mean,
                end,
            )
        )


def _stacked(layers: list[torch.Tensor]) -> torch.Tensor:
    """[n, d] of each layer -> [n, layers, d]; of one layer without a copy."""
    return torch.stack(layers, dim=1) if len(layers) > 1 else layers[0].unsqueeze(1)


def offers_layers(runner: Any) -> bool:
    """Whether the runner's model gives the outputs of layers before its last one."""
    return hasattr(runner.get_model(), "set_aux_hidden_state_layers")


def _ask_for(layers: list[int], runner: Any) -> None:
    model = runner.get_model()
    if not offers_layers(runner):
        raise UserError(f"{type(model).__name__} does not offer hidden states to the probe")
    if runner.use_aux_hidden_state_outputs:
        raise UserError("speculative decoding already uses the model's hidden states")
    model.set_aux_hidden_state_layers(tuple(layers))
    # The V2 runner reads this when it captures its graphs, later than this.
    runner.use_aux_hidden_state_outputs = True


def reader_of(runner: Any, inner: bool = True, last: bool = False) -> Reader:
    """What reads this model runner's steps: layers before the last, the last one's output, or both.

    Raises:
        UserError: if it is none that we know.
    """
    if hasattr(runner, "input_batch"):
        return RunnerV1(runner, inner, last)
    if hasattr(runner, "req_states"):
        return RunnerV2(runner, inner, last)
    raise UserError(
        f"the probe cannot read vLLM's {type(runner).__name__}: take a policy that needs none, "
        "as lengthwise without --predictor"
    )
