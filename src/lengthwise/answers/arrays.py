"""Collected answers as arrays: what predictors learn from and are judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lengthwise.answers.files import read_meta, read_shards
from lengthwise.core.bins import Floats
from lengthwise.core.query import Query
from lengthwise.errors import UserError
from lengthwise.models.prompt_text import PromptText
from lengthwise.workload.prompts import held_out

Row = tuple[dict[str, Any], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Positions:
    """Sampled positions of many requests, row by row.

    Attributes:
        request: [rows] which request a row belongs to.
        age: [rows] tokens generated.
        left: [rows] remaining tokens (of a censored answer: a lower bound).
        limit: [rows] tokens until the cap, or until where the answer was cut before that.
        censored: [rows] whether the answer was cut.
        current, mean, first: [rows, L, d] states, prompt means, states at the prompt's end.
        prompt: [rows] prompt tokens.
    """

    request: NDArray[np.int64]
    age: NDArray[np.int64]
    left: Floats
    limit: Floats
    censored: NDArray[np.bool_]
    current: NDArray[np.float16]
    mean: NDArray[np.float16]
    first: NDArray[np.float16]
    prompt: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[Row], cap: float) -> Positions:
        """Stack the requests' arrays."""
        counts = [len(arrays["ages"]) for _, arrays in rows]
        request = np.repeat(np.arange(len(rows)), counts)
        age = np.concatenate([arrays["ages"] for _, arrays in rows]).astype(np.int64)
        total = np.array([row["output_tokens"] for row, _ in rows])
        cut = np.array([row["censored"] for row, _ in rows])
        return cls(
            request,
            age,
            (total[request] - age).astype(np.float32),
            (np.where(cut, total, cap)[request] - age).astype(np.float32),
            cut[request],
            np.concatenate([arrays["states"] for _, arrays in rows]),
            np.stack([arrays["mean"] for _, arrays in rows])[request],
            # The first sampled position is the end of the prompt.
            np.stack([arrays["states"][0] for _, arrays in rows])[request],
            np.array([len(row["prompt_ids"]) for row, _ in rows])[request],
        )

    @property
    def grid(self) -> NDArray[np.bool_]:
        """[rows] the positions that are evenly spaced: every eighth token."""
        grid: NDArray[np.bool_] = self.age % 8 == 0
        return grid

    @property
    def stands_for(self) -> Floats:
        """[rows] tokens until the answer's next position, or until its end."""
        gap = np.diff(self.age, append=0)
        goes_on = np.append(np.diff(self.request) == 0, False)
        tokens: Floats = np.where(goes_on, gap, self.left).astype(np.float32)
        return tokens


@dataclass(frozen=True)
class Answers:
    """Prompts, the lengths of their answers, and hidden states along them.

    Attributes:
        model: fingerprint of the served model.
        layers: the layers whose states were kept.
        cap: most tokens of an answer.
        asked: n requests.
        rows: n pairs of arrays, as collected.
    """

    model: str
    layers: tuple[int, ...]
    cap: float
    asked: list[Query]
    rows: list[Row]

    @classmethod
    def read(cls, folders: Sequence[Path], text: PromptText | None = None) -> Answers:
        """All answers in folders that ``lengthwise collect`` filled.

        ``text`` gives the user's text back from token ids; without it texts are empty.

        Raises:
            UserError: if there are none, or they are of different models or kinds.
        """
        metas, rows = [], []
        for folder in folders:
            metas.append(read_meta(folder))
            rows += read_shards(folder)
        for key in ("model", "layers", "cap"):
            if any(meta[key] != metas[0][key] for meta in metas):
                raise UserError(f"the collected folders differ in {key}: train on one kind only")
        if not rows:
            raise UserError(
                f"no finished prompts in {folders[0]} yet: let lengthwise collect run on"
            )
        cap = int(metas[0]["cap"])
        asked = [
            Query(
                row["id"],
                row["prompt_ids"],
                "" if text is None else text(row["prompt_ids"]),
                cap,
                row["id"].partition(":")[0],
            )
            for row, _ in rows
        ]
        return cls(metas[0]["model"], tuple(metas[0]["layers"]), float(cap), asked, rows)

    def __len__(self) -> int:
        return len(self.asked)

    @cached_property
    def tokens(self) -> NDArray[np.int64]:
        """[n] output tokens; of a censored answer a lower bound."""
        return np.array([row["output_tokens"] for row, _ in self.rows])

    @cached_property
    def censored(self) -> NDArray[np.bool_]:
        """[n] whether the answer was cut at the cap."""
        return np.array([row["censored"] for row, _ in self.rows])

    @cached_property
    def positions(self) -> Positions:
        """Every sampled position of every answer, with its hidden states."""
        return Positions.of(self.rows, self.cap)

    def some(self, chosen: NDArray[np.bool_]) -> Answers:
        """The requests that are chosen, [n]."""
        return Answers(
            self.model,
            self.layers,
            self.cap,
            [each for each, here in zip(self.asked, chosen, strict=True) if here],
            [row for row, here in zip(self.rows, chosen, strict=True) if here],
        )


@dataclass(frozen=True)
class Split:
    """Answers to learn from, to choose by, and to judge on: no prompt in two of them."""

    fit: Answers
    tune: Answers
    test: Answers


def split(answers: Answers) -> Split:
    """75 % of the prompts to train, a fifth of those to choose by; 25 % held out.

    Raises:
        UserError: if one of them would be empty.
    """
    ids = [each.id for each in answers.asked]
    test = np.array([held_out(id) for id in ids])
    # By prompt, not by row: two folders may hold the same prompts.
    known = dict.fromkeys(id for id, out in zip(ids, test, strict=True) if not out)
    tuning = set(list(known)[::5])
    tune = np.array([id in tuning for id in ids])
    parts = Split(answers.some(~test & ~tune), answers.some(tune), answers.some(test))
    if min(len(parts.fit), len(parts.tune), len(parts.test)) < 2:
        raise UserError(f"{len(answers)} collected prompts are too few to train on: collect more")
    return parts
