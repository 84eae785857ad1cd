"""Instances that run padded batches to their end, simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lengthwise.core.request import Request
from lengthwise.padded.base import Batch, Ran
from lengthwise.padded.drive import Pending
from lengthwise.padded.slice_time import BatchTime, SliceTime
from lengthwise.sim.steps import StepTime, load_profile
from lengthwise.workload import Workload


@dataclass(frozen=True)
class FromSteps:
    """Batches on an engine whose step times are known; padding is computed like tokens."""

    time: StepTime

    def prefill(self, size: int, length: int) -> float:
        """One step with all the prompts in it."""
        return self.time.seconds(size * length, 0, size * length)

    def decode(self, size: int, length: int, steps: int) -> float:
        """So many steps in a row, from one token of context more on."""
        return self.time.stretch(steps, size, size * (length + 1))


@dataclass(frozen=True)
class Slower:
    """Another engine's times, all so many times as long."""

    time: BatchTime
    factor: float

    def prefill(self, size: int, length: int) -> float:
        """Stretched."""
        return self.factor * self.time.prefill(size, length)

    def decode(self, size: int, length: int, steps: int) -> float:
        """Stretched."""
        return self.factor * self.time.decode(size, length, steps)


def load_batch_time(name: str) -> BatchTime:
    """Slice times that the bench saved (``slice_time.json``), or any profile of step times.

    Raises:
        UserError: if there is none, or it cannot be read.
    """
    path = Path(name)
    if path.is_file() and '"slices"' in path.read_text():
        return SliceTime.load(path)
    return FromSteps(load_profile(name))


class Instances:
    """Engines with true lengths: only they and oracles know these.

    Args:
        requests: what will be served, in the workload's order.
        workload: their true lengths.
        time: seconds of a batch.
        memory: KV tokens that a batch may hold, padding included.
    """

    def __init__(
        self, requests: Sequence[Request], workload: Workload, time: BatchTime, memory: int
    ) -> None:
        output = workload.output.tolist()
        self._output = dict(zip(requests, output, strict=True))
        self._time, self._memory = time, memory

    def start(self, instance: int, batch: Batch) -> Pending:
        """Run a batch; it is done before anybody asks."""
        ran = self._run(batch)
        return lambda: ran

    def _run(self, batch: Batch) -> Ran:
        left = [self._output[request] - request.generated for request in batch.requests]
        steps = min(max(left), batch.slice or max(left))
        size, length = len(batch), batch.length
        room = self._memory // size - length
        if room < steps:
            # The first token needs no memory beyond the prompt's.
            done = max(room, 0)
            seconds = self._seconds(size, length, max(done, 1))
            return Ran(seconds, done, [0] * size, [False] * size, out_of_memory=True)
        tokens = [min(each, steps) for each in left]
        finished = [each <= steps for each in left]
        return Ran(self._seconds(size, length, steps), steps, tokens, finished)

    def _seconds(self, size: int, length: int, steps: int) -> float:
        """The prefill gives the first token."""
        decode = self._time.decode(size, length, steps - 1)
        return self._time.prefill(size, length) + decode


def requests_of(workload: Workload) -> list[Request]:
    """What a system sees of a workload."""
    prompts = workload.prompt.tolist()
    return [
        Request(str(i), arrival, i, prompts[i])
        for i, arrival in enumerate(np.asarray(workload.arrival).tolist())
    ]
