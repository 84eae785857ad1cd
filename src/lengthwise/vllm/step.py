"""What one step of a model runner computed, request by request, whichever runner it was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Step:
    """The n requests of a step, in the order of the batch.

    Attributes:
        ids: the n request ids.
        tokens: [n] tokens of each that were computed in the step.
        computed: [n] tokens of each that were computed before it.
        prompts: [n] prompt lengths in tokens.
        states: one tensor [rows, d] for each tapped layer: the tokens of the first request,
            then those of the second, ...; rows after the last of them are padding.
    """

    ids: list[str]
    tokens: Ints
    computed: Ints
    prompts: Ints
    states: list[torch.Tensor]

    @property
    def generated(self) -> Ints:
        """[n] output tokens that each had before the step; below 0 its prompt goes on."""
        return self.computed + self.tokens - self.prompts

    @property
    def last(self) -> Ints:
        """[n] rows of ``states`` with each request's last token."""
        return np.cumsum(self.tokens) - 1

    def of(self, chosen: list[int]) -> Step:
        """The same step with the states of these of its layers."""
        if chosen == list(range(len(self.states))):
            return self
        return replace(self, states=[self.states[each] for each in chosen])


class Reader(Protocol):
    """Reads steps off a model runner, between ``execute_model`` and ``sample_tokens``."""

    def step(self, scheduler_output: Any) -> Step | None:
        """The step that was just launched; None if it computed nothing of any request."""


def tapped(state: Any, inner: bool, last: bool) -> list[torch.Tensor] | None:
    """The tapped layers' states in what a runner keeps between its two calls.

    Args:
        state: the runner's ``execute_model_state``; None if the step computed nothing.
        inner: whether layers before the last one are tapped, which the model gives on its own.
        last: whether the last layer's output is; it comes after the others.
    """
    if state is None or (inner and not state.aux_hidden_states):
        return None
    found = list(state.aux_hidden_states) if inner else []
    return [*found, state.hidden_states] if last else found
