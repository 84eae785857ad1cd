"""What is kept of each request's prompt between steps: sums of its states, and how far it got."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from lengthwise.vllm.step import Ints, Step
from lengthwise.vllm.transfer import upload

_AT_FIRST = 64
"""Requests that there is room for before the first growth."""

_AT_ONCE = 2048
"""Tokens whose states are added up at a time: it bounds the memory that this takes."""


class Prompts:
    """States of the prompts of all requests that have not finished, a row each.

    Rows are found by request ids, which stay the same when a request is preempted. Nothing here
    waits for the device: what the device needs to know of rows goes up in one copy.

    Args:
        layers, width: tapped layers, and the size of their states (d).
        device: where the states are.
        means: whether the means over prompts will be read.

    Attributes:
        generated: [rows] output tokens of each when it was last observed; -1 before.
    """

    def __init__(self, layers: int, width: int, device: torch.device, means: bool) -> None:
        self._device, self._means = device, means
        self._row: dict[str, int] = {}
        self._free: list[int] = []
        self._fresh: list[int] = []
        self._position = np.zeros(0, dtype=np.int64)
        self._summed = np.zeros(0, dtype=np.int64)
        self._length = np.zeros(0, dtype=np.int64)
        self.generated = np.zeros(0, dtype=np.int64)
        # Of each request: the sum over its prompt's tokens, and the last of them.
        self._sums = torch.zeros(0, layers, width if means else 0, device=device)
        self._ends = torch.zeros(0, layers, width, device=device)
        self._no_mean = torch.zeros(1, layers, width, device=device)

    def rows(self, step: Step) -> Ints:
        """[n] the rows of a step's requests; new ones get theirs."""
        known = [self._row.get(each, -1) for each in step.ids]
        found = np.array(known, dtype=np.int64)
        for i in np.flatnonzero(found < 0).tolist():
            found[i] = self._take(step.ids[i])
        # The next chunk of a streamed input makes a longer prompt, and ages begin again.
        longer = self._length[found] != step.prompts
        self._length[found] = step.prompts
        self.generated[found[longer]] = -1
        return found

    def add(self, step: Step, rows: Ints) -> None:
        """Add the prompt tokens that a step computed for the first time."""
        first = np.maximum(step.computed, self._position[rows])
        past = np.minimum(step.computed + step.tokens, step.prompts)
        some = np.flatnonzero(first < past)
        if not len(some):
            return
        self._clean()
        first, past, rows = first[some], past[some], rows[some]
        self._position[rows] = past
        self._summed[rows] += past - first
        begin = np.cumsum(step.tokens)[some] - step.tokens[some] - step.computed[some]
        self._add_up(step.states, rows, begin + first, begin + past)

    def _add_up(self, states: list[torch.Tensor], rows: Ints, low: Ints, high: Ints) -> None:
        """Add the states from ``low`` up to ``high`` to each row; the last one is its end."""
        row, end = upload(np.stack([rows, high - 1]), self._device)
        for layer, state in enumerate(states):
            self._ends[:, layer].index_copy_(0, row, state.index_select(0, end).float())
        if not self._means:
            return
        counts = high - low
        owners = np.repeat(rows, counts)
        tokens = np.arange(counts.sum()) + np.repeat(low - np.cumsum(counts) + counts, counts)
        for start in range(0, len(tokens), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            owner, token = upload(np.stack([owners[part], tokens[part]]), self._device)
            for layer, state in enumerate(states):
                self._sums[:, layer].index_add_(0, owner, state.index_select(0, token).float())

    def whole(self, rows: Ints) -> NDArray[np.bool_]:
        """[n] whether the end of each row's prompt was seen."""
        return self._position[rows] >= self._length[rows]

    def counted(self, rows: Ints) -> Ints:
        """[n] tokens that each row's sum is of, at least 1."""
        return np.maximum(self._summed[rows], 1)

    def read(self, row: torch.Tensor, counted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means over the prompts' tokens that were computed, and their last states.

        Rows and what :meth:`counted` says of them are on the device. Both results are
        [n, layers, d]; what is read stays as it is while rows change.
        """
        self._clean()
        ends = self._ends.index_select(0, row)
        if not self._means:
            return self._no_mean.expand_as(ends), ends
        return self._sums.index_select(0, row) / counted[:, None, None], ends

    def forget(self, request_id: str) -> None:
        """The request has finished; its row may become another's."""
        row = self._row.pop(request_id, None)
        if row is not None:
            self._free.append(row)

    def _take(self, request_id: str) -> int:
        if not self._free:
            self._grow()
        row = self._row[request_id] = self._free.pop()
        self._position[row] = self._summed[row] = self._length[row] = 0
        self.generated[row] = -1
        self._fresh.append(row)
        return row

    def _clean(self) -> None:
        """Set the rows of new requests to zero, all at once."""
        if self._fresh:
            fresh = upload(np.array(self._fresh), self._device)
            self._fresh.clear()
            self._sums.index_fill_(0, fresh, 0.0)
            self._ends.index_fill_(0, fresh, 0.0)

    def _grow(self) -> None:
        known = len(self.generated)
        more = max(known, _AT_FIRST)
        added = np.zeros(more, dtype=np.int64)
        self._position = np.concatenate([self._position, added])
        self._summed = np.concatenate([self._summed, added])
        self._length = np.concatenate([self._length, added])
        self.generated = np.concatenate([self.generated, added])
        self._sums, self._ends = (
            torch.cat([old, torch.zeros(more, *old.shape[1:], device=self._device)])
            for old in (self._sums, self._ends)
        )
        self._free.extend(range(known, known + more))
