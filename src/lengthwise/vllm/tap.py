"""The hidden-state tap: chosen layers' outputs of each step, request by request.

It asks the model for auxiliary outputs (as EAGLE-3 does), which survive compilation
and CUDA graphs where a forward hook would not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from lengthwise.errors import UserError
from lengthwise.metrics.counters import COSTS
from lengthwise.predictors.layers import LAST
from lengthwise.vllm.attach import attach
from lengthwise.vllm.runner_v1 import RunnerV1
from lengthwise.vllm.runner_v2 import RunnerV2
from lengthwise.vllm.step import Reader, Step

WANTED = "lengthwise_wanted"
"""Name of the flag on vLLM's SchedulerOutput, pickled to the worker: False if nobody
will read this step's predictions. Without the flag they are wanted."""


SPENT = "lengthwise_tap_s"
"""Name of the attribute of vLLM's ModelRunnerOutput: seconds that the tap and what looks at its
steps have taken of the worker so far."""


class Watcher(Protocol):
    """What looks at the steps of the tap.

    Attributes:
        awake: whether it looks at the next one; a step that nobody looks at is not read.
    """

    @property
    def awake(self) -> bool: ...

    def begin(self, scheduler_output: Any) -> None:
        """A step is about to run; what the scheduler says with it."""

    def see(self, step: Step, wanted: bool) -> None:
        """The step was launched; ``wanted``: its predictions will be read."""

    def output(self, output: Any) -> Any:
        """The model runner's output, with what the watcher adds."""


class Tap:
    """Wraps a model runner's ``execute_model`` and ``sample_tokens``.

    The states are read on the stream of the forward pass, before the next one can overwrite
    them, and nothing in a step waits for the device.

    Args:
        runner: vLLM's model runner (V1, V2 or the CPU's), after load_model.
        layers: decoder layers whose output to take, 1 the first; 0 is the embedding, and
            ``LAST``, which comes last of them, the last one's after the norm.
        watchers: look at the steps, one after the other.

    Raises:
        UserError: if the runner or the model cannot give hidden states.
    """

    def __init__(self, runner: Any, layers: Sequence[int], watchers: Sequence[Watcher]) -> None:
        inner = [layer for layer in layers if layer != LAST]
        self._reader = reader_of(runner, bool(inner), LAST in layers)
        if inner:
            _ask_for(inner, runner)
        self._watchers = watchers
        self._looked = False
        self._execute, self._sample = runner.execute_model, runner.sample_tokens
        runner.execute_model, runner.sample_tokens = self.execute_model, self.sample_tokens

    @torch.inference_mode()
    def execute_model(self, scheduler_output: Any, *args: Any, **kwargs: Any) -> Any:
        """The runner's own, then one look at the states it left."""
        for watcher in self._watchers:
            watcher.begin(scheduler_output)
        result = self._execute(scheduler_output, *args, **kwargs)
        awake = [watcher for watcher in self._watchers if watcher.awake]
        self._looked = bool(awake)
        if awake:
            with COSTS.timed("predict_s"):
                step = self._reader.step(scheduler_output)
                if step is not None:
                    wanted = getattr(scheduler_output, WANTED, True)
                    for watcher in awake:
                        watcher.see(step, wanted)
        return result

    def sample_tokens(self, *args: Any, **kwargs: Any) -> Any:
        """The runner's own; the watchers may add to its output."""
        output = self._sample(*args, **kwargs)
        with COSTS.timed("predict_s"):
            for watcher in self._watchers:
                output = watcher.output(output)
            if self._looked and output is not None:
                attach(output, SPENT, lambda: COSTS.predict_s)
        return output


def offers_layers(runner: Any) -> bool:
    """Whether the runner's model gives the outputs of layers before its last one."""
    try:
        # A model around a language model has the method, and its language model may not.
        runner.get_model().set_aux_hidden_state_layers(())
    except (AttributeError, AssertionError, NotImplementedError):
        return False
    return True


def _ask_for(layers: list[int], runner: Any) -> None:
    model = runner.get_model()
    if runner.use_aux_hidden_state_outputs:
        raise UserError("speculative decoding already uses the model's hidden states")
    if not offers_layers(runner):
        raise UserError(
            f"{type(model).__name__} offers the hidden states of its last layer only: "
            "collect with --layers last, and train a probe of that"
        )
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
