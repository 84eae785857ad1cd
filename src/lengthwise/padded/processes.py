"""Several instances of transformers' ``generate``, each in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
from tqdm import tqdm

from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.padded.base import Batch, Ran
from lengthwise.padded.drive import Pending
from lengthwise.padded.generate import load_here, profile_here, run_here
from lengthwise.padded.slice_time import STEPS, SliceTime

T = TypeVar("T")


class Processes:
    """Runs batches on a process an instance, and keeps the token ids; a context manager.

    Seconds are CPU seconds of the instance's process, which has one thread: its time on a
    core of its own, however busy the machine is.

    Args:
        model: folder of the model.
        count: how many processes.
        memory: most KV tokens of a batch on one of them.
    """

    def __init__(self, model: Path, count: int, memory: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._memory = memory
        self._pools = [
            ProcessPoolExecutor(1, context, load_here, (model, memory)) for _ in range(count)
        ]
        self._prompts: dict[str, list[int]] = {}
        self._answers: dict[str, list[int]] = {}
        self._caps: Mapping[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)

    def begin(self, prompts: dict[str, list[int]], caps: Mapping[str, int]) -> None:
        """A new run: by request id, token ids of the prompts and most tokens of the answers."""
        self._prompts, self._caps = prompts, caps
        self._answers = {id: [] for id in prompts}

    def answer(self, request: Request) -> list[int]:
        """Token ids generated for a request so far."""
        return self._answers[request.id]

    def start(self, instance: int, batch: Batch) -> Pending:
        """Send a batch to its process."""
        ids = [request.id for request in batch.requests]
        contexts = [self._prompts[id] + self._answers[id] for id in ids]
        left = [self._caps[id] - len(self._answers[id]) for id in ids]
        future = self._pools[instance].submit(run_here, contexts, left, batch.slice)

        def result() -> Ran:
            ran, answers = _alive(future.result)
            for id, answer in zip(ids, answers, strict=not ran.out_of_memory):
                self._answers[id] = self._answers[id] + answer
            return ran

        return result

    def profile(self, grid: Sequence[tuple[int, int]]) -> SliceTime:
        """Slice times, fitted to batches of random tokens on the first instance.

        ``grid`` has the size and the length of each.
        """
        prefills, decodes = [], []
        for n, length in tqdm(grid, desc="profile", unit="batch"):
            first, steps = _alive(self._pools[0].submit(profile_here, n, length, STEPS).result)
            prefills.append((n, length, first))
            decodes += [(n, length + i, seconds) for i, seconds in enumerate(steps, 1)]
        source = "transformers' generate on one thread, CPU seconds"
        return SliceTime.fit(np.array(prefills), np.array(decodes), source)


def _alive(ask: Callable[[], T]) -> T:
    """A process's answer; raises if the process is gone.

    Raises:
        UserError: if it has died.
    """
    try:
        return ask()
    except BrokenProcessPool:
        raise UserError(
            "an instance's process died: is there enough memory for each one's model?"
        ) from None
