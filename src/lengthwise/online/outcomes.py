"""Finished requests as collected answers: what predictors learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lengthwise.answers.arrays import Answers, Row
from lengthwise.core.bins import Bins
from lengthwise.online.messages import Finished
from lengthwise.online.reservoir import prompt_key
from lengthwise.online.scorer import Scorer


def most_tokens(bins: Bins) -> float:
    """The longest answer that bins tell apart from longer ones."""
    overflow = len(bins) > 1 and bins.values[-1] <= bins.edges[-2]
    return float(bins.edges[-2] if overflow else bins.edges[-1])


def answers_of(outcomes: Sequence[Finished], scorer: Scorer, model: str) -> Answers:
    """Answers without hidden states: prompt predictors read none.

    Collected answers share one cap, served ones do not. An answer cut below the cap of the
    predictor's bins counts as the length expected of an answer that is longer than that
    (Buckley and James 1979); without that, lengths would be learned from max_tokens.
    """
    cap = most_tokens(scorer.predictor.bins)
    asked = scorer.read([replace(each.asked, max_tokens=int(cap)) for each in outcomes])
    tokens = np.minimum([each.tokens for each in outcomes], cap)
    cut = np.array([each.cut for each in outcomes]) & (tokens < cap)
    for i in np.flatnonzero(cut):
        # One at a time: requests that arrive meanwhile want to be scored in between.
        left = scorer.lengths([asked[i]]).after(tokens[i : i + 1]).mean()
        tokens[i] = min(tokens[i] + left[0], cap)
    asked = [replace(each, id=prompt_key(each.prompt_ids)) for each in asked]
    rows = [
        _row(each.id, each.prompt_ids, round(total), bool(total >= cap))
        for each, total in zip(asked, tokens, strict=True)
    ]
    return Answers(model, (), cap, asked, rows)


def _row(id: str, prompt_ids: list[int], tokens: int, censored: bool) -> Row:
    nothing = np.zeros((1, 0, 0), dtype=np.float16)
    arrays = {"ages": np.zeros(1, dtype=np.int32), "states": nothing, "mean": nothing[0]}
    row = {
        "id": id,
        "prompt_ids": prompt_ids,
        "output_tokens": tokens,
        "censored": censored,
    }
    return row, arrays
