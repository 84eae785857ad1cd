"""What one step of a model runner computed, request by request, whichever runner it was."""

from __future__ import annotations

from dataclasses import dataclass
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


class Reader(Protocol):
    """Reads steps off a model runner, between ``execute_model`` and ``sample_tokens``."""

    def step(self, scheduler_output: Any) -> Step | None:
        """The step that was just launched; None if it computed nothing of any request."""
