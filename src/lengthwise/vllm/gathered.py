"""The states that the worker sampled, gathered request by request in the scheduler's process."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lengthwise.online.states import States
from lengthwise.vllm.sampled import STATES, SampledStates


class Gathered:
    """States of living requests; the worker samples few at a time, which bounds them.

    Args:
        living: ids of the scheduler's requests.
    """

    def __init__(self, living: Container[str]) -> None:
        self._living = living
        self._rows: dict[str, list[_Row]] = {}

    def take(self, model_runner_output: Any) -> None:
        """The states that came with a step's tokens, if any did."""
        came: SampledStates | None = getattr(model_runner_output, STATES, None)
        if came is None:
            return
        for i, (request_id, age) in enumerate(zip(came.ids, came.ages.tolist(), strict=True)):
            if age == 0:
                self._rows[request_id] = []
            rows = self._rows.get(request_id)
            if rows is not None:
                # A copy: the rest of the step is another's.
                rows.append(_Row(age, came.layers, came.values[i].copy()))
        # Under asynchronous scheduling a request may have ended before its states come.
        for request_id in [each for each in self._rows if each not in self._living]:
            del self._rows[request_id]

    def finished(self, request_id: str) -> States | None:
        """What was kept of a request, which is forgotten; None without its prompt's end."""
        rows = self._rows.pop(request_id, None)
        if not rows:
            return None
        # The worker keeps fewer layers once one is chosen.
        layers = min((row.layers for row in rows), key=len)
        layers = tuple(each for each in layers if all(each in row.layers for row in rows))
        if not layers:
            return None
        ages = np.array([row.age for row in rows], dtype=np.int64)
        return States(layers, ages, np.stack([row.of(layers) for row in rows]))


@dataclass(frozen=True)
class _Row:
    age: int
    layers: tuple[int, ...]
    values: NDArray[np.float16]

    def of(self, layers: tuple[int, ...]) -> NDArray[np.float16]:
        """[L, d] of these of its layers."""
        if layers == self.layers:
            return self.values
        return self.values[[self.layers.index(each) for each in layers]]
