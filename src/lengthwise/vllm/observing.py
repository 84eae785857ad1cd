"""What a step showed of requests whose prompts were seen, for the probe and the recorder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from lengthwise.vllm.prompts import Prompts
from lengthwise.vllm.step import Ints, Step
from lengthwise.vllm.transfer import upload


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


class Observing:
    """Keeps what prompts leave behind, and shows an observer each request once at each age.

    A request whose prompt's end it has not seen is not shown: it began before.

    Args:
        observer: receives the states.
        tapped: the layers whose states the steps have, in their order.
        layers: those of them that the observer gets.
    """

    def __init__(
        self, observer: Observer, tapped: Sequence[int], layers: Iterable[int] | None = None
    ) -> None:
        self._observer = observer
        self._chosen = [tapped.index(each) for each in (tapped if layers is None else layers)]
        self._prompts: Prompts | None = None
        self.awake = True

    def begin(self, scheduler_output: Any) -> None:
        """A step is about to run: these requests have finished."""
        for request_id in scheduler_output.finished_req_ids:
            self._observer.forget(request_id)
            if self._prompts is not None:
                self._prompts.forget(request_id)

    def see(self, step: Step, wanted: bool) -> None:
        """Keep what the step computes of prompts, and show what it samples from, if wanted."""
        self.look(step, wanted)

    def look(self, step: Step, wanted: bool) -> bool:
        """As :meth:`see`; whether anybody was shown."""
        if not wanted and (step.computed >= step.prompts).all():
            return False
        step = step.of(self._chosen)
        if self._prompts is None:
            states = step.states
            shape = (len(states), int(states[0].shape[-1]))
            self._prompts = Prompts(*shape, states[0].device, self._observer.reads_means)
        rows = self._prompts.rows(step)
        self._prompts.add(step, rows)
        return wanted and self._show(step, rows, self._prompts)

    def _show(self, step: Step, rows: Ints, prompts: Prompts) -> bool:
        # Below 0 the prompt goes on; at or below the last one it is recomputed.
        ages = step.generated
        due = np.flatnonzero((ages > prompts.generated[rows]) & prompts.whole(rows))
        if not len(due):
            return False
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
        return True

    def output(self, output: Any) -> Any:
        """The model runner's output, with what the observer adds."""
        return self._observer.output(output)


def _stacked(layers: list[torch.Tensor]) -> torch.Tensor:
    """[n, d] of each layer -> [n, layers, d]; of one layer without a copy."""
    return torch.stack(layers, dim=1) if len(layers) > 1 else layers[0].unsqueeze(1)
