"""One instance that runs padded batches to their end: transformers' ``generate``, one thread.

A row that has ended goes on being computed until the batch returns, as frameworks without
continuous batching have it; what it produces then is not valid. A CPU has memory enough, so
a budget of KV tokens stands for the card's, and outgrowing it raises what a card would.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, GenerationConfig, StoppingCriteria
from transformers.generation import StoppingCriteriaList

from lengthwise.errors import UserError
from lengthwise.padded.base import Ran

Answers = list[list[int]]


class OutOfMemoryError(Exception):
    """A batch outgrew the budget after so many tokens of each row."""

    def __init__(self, steps: int) -> None:
        super().__init__(f"out of memory after {steps} tokens")
        self.steps = steps


class _Watch(StoppingCriteria):  # type: ignore[misc]
    """Ends rows at their own limit, keeps the budget, and notes when each token came."""

    def __init__(self, length: int, limits: Sequence[int], memory: float) -> None:
        self._length, self._memory = length, memory
        self._limits = torch.tensor(limits)
        self.stamps: list[float] = []

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self.stamps.append(time.process_time())
        rows, tokens = input_ids.shape
        if rows * tokens > self._memory:
            raise OutOfMemoryError(tokens - self._length)
        return self._limits <= tokens - self._length


class Generator:
    """A model that answers greedily in padded batches.

    Args:
        model: its folder.
        memory: most KV tokens of a batch, padding included.

    Raises:
        UserError: if transformers cannot load it.
    """

    def __init__(self, model: str, memory: float) -> None:
        torch.set_num_threads(1)
        self._memory = memory
        try:
            self._model: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        except (OSError, ValueError) as error:
            raise UserError(
                f"model {model} cannot be loaded: {str(error).splitlines()[0]}"
            ) from None
        self._model.eval()
        ends = self._model.generation_config.eos_token_id
        self.ends: list[int] = [ends] if isinstance(ends, int) else list(ends or [])
        self.generate([[1, 2], [3]], [2, 2])

    def run(
        self, contexts: Sequence[list[int]], left: Sequence[int], slice: int | None
    ) -> tuple[Ran, Answers]:
        """Serve a batch; CPU seconds of this process, and each row's valid tokens.

        Args:
            contexts: [n] token ids of prompt and answer so far.
            left: [n] most tokens still to come.
            slice: most tokens in this batch.
        """
        limits = [min(each, slice or each) for each in left]
        begin, wall = time.process_time(), time.perf_counter()
        try:
            rows, _ = self.generate(contexts, limits)
        except OutOfMemoryError as error:
            nothing = [0] * len(contexts), [False] * len(contexts)
            spent = time.process_time() - begin
            return Ran(spent, error.steps, *nothing, out_of_memory=True), []
        seconds, wall = time.process_time() - begin, time.perf_counter() - wall
        answers = [self._valid(row, most) for row, most in zip(rows, limits, strict=True)]
        finished = [
            len(answer) >= most or answer[-1] in self.ends
            for answer, most in zip(answers, left, strict=True)
        ]
        tokens = [len(answer) for answer in answers]
        return Ran(seconds, len(rows[0]), tokens, finished, note={"wall_s": wall}), answers

    def generate(
        self, contexts: Sequence[list[int]], limits: Sequence[int], endless: bool = False
    ) -> tuple[Answers, list[float]]:
        """Tokens after each context, [n] rows of one length, and the time of each token.

        ``endless`` rows ignore the end of an answer, for profiles.

        Raises:
            OutOfMemoryError: if the batch outgrows the budget.
        """
        length = max(map(len, contexts))
        # The pad token is of no account: attention never sees it.
        pad = self.ends[0] if self.ends else 0
        padded = [[pad] * (length - len(each)) + each for each in contexts]
        mask = [[0] * (length - len(each)) + [1] * len(each) for each in contexts]
        watch = _Watch(length, limits, self._memory)
        config = GenerationConfig(
            max_new_tokens=max(limits),
            do_sample=False,
            eos_token_id=None if endless else self.ends or None,
            pad_token_id=pad,
        )
        with torch.inference_mode():
            found = self._model.generate(
                torch.tensor(padded),
                attention_mask=torch.tensor(mask),
                generation_config=config,
                stopping_criteria=StoppingCriteriaList([watch]),
            )
        return found[:, length:].tolist(), watch.stamps

    def profile(self, size: int, length: int, steps: int) -> tuple[float, list[float]]:
        """CPU seconds of a prefill of ``size`` rows of ``length``, and of each decode step."""
        words = self._model.config.vocab_size
        rows = np.random.default_rng([size, length]).integers(words, size=(size, length))
        begin = time.process_time()
        _, stamps = self.generate(rows.tolist(), [steps] * size, endless=True)
        return stamps[0] - begin, np.diff(stamps).tolist()

    def _valid(self, row: list[int], most: int) -> list[int]:
        """Up to its limit, or the first end of an answer, which counts."""
        ends = [at + 1 for at, token in enumerate(row) if token in self.ends]
        return row[: min([most, *ends])]


_HERE: list[Generator] = []
"""The instance of a worker process."""


def load_here(model: Path, memory: float) -> None:
    """Make this process an instance."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    threading.Thread(target=_end_with_the_bench, daemon=True).start()
    _HERE[:] = [Generator(str(model), memory)]


def _end_with_the_bench() -> None:
    """End this process when its parent is gone: it would wait for work for ever."""
    bench = multiprocessing.parent_process()
    if bench is not None:
        bench.join()
        os._exit(1)


def run_here(contexts: list[list[int]], left: list[int], slice: int | None) -> tuple[Ran, Answers]:
    """A batch in this process."""
    return _HERE[0].run(contexts, left, slice)


def profile_here(size: int, length: int, steps: int) -> tuple[float, list[float]]:
    """A profile in this process."""
    return _HERE[0].profile(size, length, steps)
