"""Finished requests to learn from: bounded in memory, and again on disk for the next start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lengthwise.answers.files import SHARD, Shards, read_shard
from lengthwise.core.query import Query
from lengthwise.errors import UserError
from lengthwise.online.messages import Finished
from lengthwise.online.options import Learning
from lengthwise.online.reservoir import Reservoir, in_share, prompt_key
from lengthwise.online.states import States

LONGEST = 16_384
"""Most tokens of a prompt that is learned from."""

FIT_TOKENS = 4_000_000
"""Most prompt tokens that one version is learned from, the latest ones."""

_SAVE_S = 5.0
"""Seconds that a request waits for others to be saved with: so many a kill loses."""


@dataclass(frozen=True)
class Sample:
    """A finished request as it is kept: 4 bytes for each token of its prompt.

    Attributes:
        number: of the finished requests, in their order; goes on after a restart.
        seconds: when it finished, of Unix time.
        held_back: whether its prompt is never learned from.
        prompt: token ids.
    """

    number: int
    seconds: float
    held_back: bool
    prompt: NDArray[np.int32]
    finished: Finished

    @classmethod
    def of(cls, finished: Finished, number: int, seconds: float, held_back: float) -> Sample:
        """The prompt decides whether it is held back: a prompt that comes again, as before."""
        ids = finished.asked.prompt_ids
        return cls(
            number,
            seconds,
            in_share(prompt_key(ids), held_back, "held back"),
            np.array(ids, dtype=np.int32),
            replace(finished, asked=replace(finished.asked, prompt_ids=[])),
        )

    def whole(self, states: bool = True) -> Finished:
        """The request with its prompt, and perhaps without its hidden states."""
        asked = replace(self.finished.asked, prompt_ids=self.prompt.tolist())
        kept = self.finished.states if states else None
        return replace(self.finished, asked=asked, states=kept)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt."""
        return len(self.prompt)


class Samples:
    """All samples: of prompts a uniform sample and the latest, of states as many as fit.

    Args:
        options: how many.
        folder: of the samples on disk; None keeps them in memory only.
        tell: gets a line if they cannot be saved or read.
        wall: Unix time in seconds.

    Attributes:
        seen: finished requests so far.
    """

    def __init__(
        self,
        options: Learning,
        folder: Path | None,
        tell: Callable[[str], object],
        wall: Callable[[], float],
    ) -> None:
        self._options, self._folder, self._tell, self._wall = options, folder, tell, wall
        self._prompts: Reservoir[Sample] = Reservoir(options.uniform, options.recent)
        self._stateful: Reservoir[Sample] | None = None
        self._shards = None if folder is None else Shards(folder, _SAVE_S)
        self._on_disk: dict[Path, int] = {}
        self.seen = 0

    def resume(self) -> None:
        """Go on with what the folder holds; damaged files are passed over."""
        if self._folder is None:
            return
        for path in sorted(self._folder.glob("shard-*.json")):
            try:
                rows = read_shard(path)
                self._on_disk[path] = len(rows)
                for row, arrays in rows:
                    self._keep(_sample(row, arrays))
            except (UserError, KeyError, TypeError, ValueError) as error:
                self._tell(f"samples of an earlier start are passed over: {error}")

    def add(self, finished: Finished) -> Sample | None:
        """A request is gone; None if its prompt is too long to be learned from."""
        if len(finished.asked.prompt_ids) > LONGEST:
            return None
        sample = Sample.of(finished, self.seen + 1, self._wall(), self._options.held_back)
        self._keep(sample)
        if self._shards is not None:
            self._shards.add(*_row(sample))
        return sample

    def save(self) -> None:
        """Write what has waited long enough; a disk that is full costs a line, and no more."""
        if self._shards is None or self._folder is None:
            return
        try:
            saved = self._shards.save_if_due()
            if saved is not None:
                self._on_disk[saved.path] = saved.rows
                self._prune(self._folder)
        except FileNotFoundError:
            # The operator let it be forgotten.
            self._clear()
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            self._tell(f"samples are not saved any more ({error}): a restart forgets the latest")
            self._shards = None

    def learned_from(self) -> list[Sample]:
        """Samples for a predictor of prompts, in their order, none of them held back."""
        found: list[Sample] = []
        left = FIT_TOKENS
        for sample in reversed(self._prompts.items()):
            left -= sample.prompt_tokens
            if left < 0 and found:
                break
            if not sample.held_back:
                found.append(sample)
        return found[::-1]

    def with_states(self) -> list[Sample]:
        """Samples for a probe, in their order, none of them held back."""
        items = [] if self._stateful is None else self._stateful.items()
        return [sample for sample in items if not sample.held_back]

    def unseen(self, after: int, seconds: float, states: bool) -> list[Sample]:
        """The latest samples that a version has not learned from.

        Those are what finished after sample number ``after``, and of the last ``seconds`` what
        is held back.
        """
        pool = self._stateful if states else self._prompts
        since = self._wall() - seconds
        return [
            sample
            for sample in (() if pool is None else pool.latest())
            if sample.number > after or (sample.held_back and sample.seconds >= since)
        ]

    def forget(self, kept: int | None = None) -> None:
        """Keep the latest only, or ``kept`` of them: what came before was another traffic."""
        self._prompts.forget(kept)
        if self._stateful is not None:
            self._stateful.forget(kept)

    def _keep(self, sample: Sample) -> None:
        self.seen = max(self.seen, sample.number)
        states = sample.finished.states
        if states is not None:
            if self._stateful is None:
                self._stateful = Reservoir(*self._room(states))
            self._stateful.add(sample)
        self._prompts.add(replace(sample, finished=replace(sample.finished, states=None)))

    def _clear(self) -> None:
        self._prompts = Reservoir(self._options.uniform, self._options.recent)
        self._stateful = None
        self._on_disk.clear()
        self._shards = None if self._folder is None else Shards(self._folder, _SAVE_S)

    def _room(self, states: States) -> tuple[int, int]:
        """How many requests with states fit, half a uniform sample and half the latest."""
        position = max(states.nbytes // len(states.ages), 1)
        fit = self._options.mib * 2**20 // (position * self._options.positions)
        half = max(min(fit // 2, self._options.recent), 1)
        return half, half

    def _prune(self, folder: Path) -> None:
        """Delete the oldest shards beyond the bounds in requests and bytes."""
        newest = sorted(folder.glob("shard-*.json"), reverse=True)
        size = rows = 0
        for path in newest:
            beside = path.with_suffix(".safetensors")
            size += path.stat().st_size + beside.stat().st_size
            rows += self._on_disk.get(path, SHARD)
            full = size > self._options.mib * 2**20 or rows > 2 * self._options.recent
            if full and path != newest[0]:
                path.unlink()
                beside.unlink(missing_ok=True)
                self._on_disk.pop(path, None)


def _row(sample: Sample) -> tuple[Any, ...]:
    finished = sample.finished
    row = {
        "id": finished.asked.id,
        "prompt_ids": sample.prompt.tolist(),
        "output_tokens": finished.tokens,
        "censored": finished.cut,
        "number": sample.number,
        "seconds": sample.seconds,
        "held_back": sample.held_back,
        "max_tokens": finished.asked.max_tokens,
        "template": finished.asked.template,
        "predicted": finished.predicted,
        "arrival": finished.arrival,
        "version": finished.version,
        "layers": [] if finished.states is None else list(finished.states.layers),
    }
    states = finished.states
    nothing = np.zeros((0, 0, 0), np.float16)
    if states is None:
        return row, np.zeros(0, np.int64), nothing, nothing
    return row, states.ages, states.values, nothing


def _sample(row: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Sample:
    layers = tuple(row["layers"])
    states = States(layers, arrays["ages"], arrays["states"]) if layers else None
    asked = Query(row["id"], [], "", row["max_tokens"], row["template"])
    finished = Finished(
        asked,
        row["output_tokens"],
        row["censored"],
        row["predicted"],
        row["arrival"],
        row["version"],
        states,
    )
    prompt = np.array(row["prompt_ids"], dtype=np.int32)
    return Sample(row["number"], row["seconds"], row["held_back"], prompt, finished)
