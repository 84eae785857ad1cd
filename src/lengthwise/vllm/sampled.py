"""Hidden states along some answers, kept by the worker to learn from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lengthwise.vllm.ages import next_age, offset_of
from lengthwise.vllm.attach import attach
from lengthwise.vllm.current_probe import NEW_PROBE
from lengthwise.vllm.step import Ints, Step
from lengthwise.vllm.transfer import Download, upload

STATES = "lengthwise_states"
"""Name of the states on vLLM's ModelRunnerOutput, pickled between processes."""

_MOST = float(torch.finfo(torch.float16).max)
"""States beyond are cut there: some models have a few numbers that are larger."""


PACE = 4
"""With some dozen places something is due in most steps, and each copy costs some 50 us."""

_NEVER = 2**60


@dataclass(frozen=True)
class SampledStates:
    """Hidden states of m requests in one step, as they travel to the scheduler.

    Attributes:
        ids: the m request ids.
        ages: [m] tokens that each had generated before the step.
        layers: the L layers that they are of.
        values: [m, L, d] states, float16.
    """

    ids: list[str]
    ages: Ints
    layers: tuple[int, ...]
    values: NDArray[np.float16]


class Sampling:
    """Watcher that keeps states of a few requests at a time, at some ages of each answer.

    Who is among them is decided when a prompt ends, by whether a place is free: that has nothing
    to do with the answer. A place is free again when its request has finished.

    Args:
        tapped: the layers whose states the steps have, in their order.
        at_once: places.
        positions: most ages of one answer.
        pace: steps between two looks, unless a prompt ends: what is due meanwhile is copied
            together, at the age that it has by then.
    """

    awake = True

    def __init__(
        self, tapped: Sequence[int], at_once: int, positions: int, pace: int = PACE
    ) -> None:
        self._tapped, self._at_once, self._positions = tapped, at_once, positions
        self._pace = pace
        self._places: dict[str, _Place] = {}
        # Prompt lengths of those that were decided on: a prompt may be computed again.
        self._decided: dict[str, int] = {}
        self._step = self._next_look = 0
        self._pending: _Pending | None = None
        self.only(tapped)

    def only(self, layers: Collection[int]) -> None:
        """Keep the states of these of the tapped layers; of all, if none of them is tapped."""
        chosen = [each for each in self._tapped if each in layers] or self._tapped
        self._layers = tuple(chosen)
        self._columns = [self._tapped.index(each) for each in self._layers]

    def begin(self, scheduler_output: Any) -> None:
        """Free the places of the finished; a new probe says which layer is worth keeping."""
        for request_id in scheduler_output.finished_req_ids:
            self._places.pop(request_id, None)
            self._decided.pop(request_id, None)
        new = getattr(scheduler_output, NEW_PROBE, None)
        if new is not None:
            self.only(self._tapped if new.layer is None else (new.layer,))

    def see(self, step: Step, wanted: bool) -> None:
        """Keep the states that are due, whether predictions are wanted or not."""
        self._step += 1
        ages = step.generated
        ended = np.flatnonzero(ages == 0)
        if len(ended):
            self._admit(step, ended.tolist())
        if self._step >= self._next_look:
            due = self._due(step.ids, ages)
            if due:
                self._keep(step, due, ages)

    def _admit(self, step: Step, ended: list[int]) -> None:
        for i in ended:
            request_id, prompt = step.ids[i], int(step.prompts[i])
            # The next chunk of a streamed input makes a longer prompt, and ages begin again.
            if self._decided.get(request_id) == prompt:
                continue
            self._decided[request_id] = prompt
            self._places.pop(request_id, None)
            if len(self._places) < self._at_once:
                self._places[request_id] = _Place(offset_of(request_id))
                self._next_look = self._step

    def _due(self, ids: list[str], ages: Ints) -> list[int]:
        """Rows of the step to keep, and when to look again: a request has one token a step."""
        places, now = self._places, self._step
        here = [i for i, request_id in enumerate(ids) if request_id in places]
        due = []
        for i in here:
            place, age = places[ids[i]], int(ages[i])
            if age >= place.age:
                due.append(i)
                place.goes_on(age, self._positions)
            # What is computed again goes faster, up to where it was.
            place.seen = max(place.seen, age)
            place.step = now + place.age - place.seen
        soonest = min((place.step for place in places.values()), default=_NEVER)
        self._next_look = max(soonest, now + self._pace)
        return due

    def _keep(self, step: Step, due: list[int], ages: Ints) -> None:
        rows = upload(step.last[due], step.states[0].device)
        chosen = [step.states[each].index_select(0, rows) for each in self._columns]
        values = torch.stack(chosen, dim=1).float().clamp_(-_MOST, _MOST).half()
        ids = [step.ids[i] for i in due]
        self._pending = _Pending(ids, ages[due], self._layers, Download(values))

    def output(self, output: Any) -> Any:
        """The output, with the states that were kept in its step."""
        pending, self._pending = self._pending, None
        if pending is not None and output is not None:
            attach(output, STATES, partial(_arrived, pending))
        return output


@dataclass(slots=True)
class _Place:
    """A request whose states are kept.

    ``age`` is the next one that is kept; it is not reached before ``step``. ``seen`` is the
    latest that there was.
    """

    offset: float
    age: int = 0
    seen: int = 0
    step: int = 0
    kept: int = 0

    def goes_on(self, age: int, positions: int) -> None:
        """This age was kept."""
        self.kept += 1
        self.age = next_age(age, self.offset) if self.kept < positions else _NEVER


@dataclass(frozen=True)
class _Pending:
    ids: list[str]
    ages: Ints
    layers: tuple[int, ...]
    values: Download


def _arrived(pending: _Pending) -> SampledStates:
    return SampledStates(pending.ids, pending.ages, pending.layers, pending.values.numpy())
