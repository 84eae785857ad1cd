"""Finished requests as collected answers: what predictors learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lengthwise.answers.arrays import Answers, Row
from lengthwise.core.bins import Bins
from lengthwise.online.messages import Finished
from lengthwise.online.reservoir import prompt_key
from lengthwise.online.scorer import Scorer
from lengthwise.online.states import States

_NO_STATES = States((), np.zeros(1, np.int64), np.zeros((1, 0, 0), np.float16))


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
    cut = np.flatnonzero(np.array([each.cut for each in outcomes]) & (tokens < cap))
    left = scorer.lengths([asked[i] for i in cut]).after(tokens[cut]).mean()
    tokens[cut] = np.minimum(tokens[cut] + left, cap)
    asked = [replace(each, id=prompt_key(each.prompt_ids)) for each in asked]
    rows = [
        _row(each.id, each.prompt_ids, round(total), bool(total >= cap), _NO_STATES)
        for each, total in zip(asked, tokens, strict=True)
    ]
    return Answers(model, (), cap, asked, rows)


def answers_along(outcomes: Sequence[Finished], layer: int, cap: int) -> Answers:
    """Answers with one layer's states at the positions that were kept before the cap.

    An answer cut below the cap is censored where it was cut: the probe learns that it would
    have been longer. Outcomes without states of the layer, or without any at their prompt's
    end, are left out.
    """
    asked, rows = [], []
    for each in outcomes:
        states = _until(each, layer, min(each.tokens, cap))
        if states is not None:
            id, ids = prompt_key(each.asked.prompt_ids), each.asked.prompt_ids
            cut = each.cut or each.tokens >= cap
            rows.append(_row(id, ids, min(each.tokens, cap), cut, states))
            asked.append(replace(each.asked, id=id, max_tokens=cap))
    return Answers("", (layer,), float(cap), asked, rows)


def _until(outcome: Finished, layer: int, end: int) -> States | None:
    """One layer's states at ages below ``end``; None if there are none at age 0."""
    states = outcome.states
    if states is None or layer not in states.layers:
        return None
    count = int((states.ages < end).sum())
    if not count or states.ages[0] != 0:
        return None
    number = states.layers.index(layer)
    # A view: a copy of all states would double their memory.
    return States((layer,), states.ages[:count], states.values[:count, number : number + 1])


def _row(id: str, prompt_ids: list[int], tokens: int, censored: bool, states: States) -> Row:
    arrays: dict[str, NDArray[Any]] = {
        "ages": states.ages,
        "states": states.values,
        # Only the paper's probe reads means over prompts, and no learned one is of that kind.
        "mean": states.values[0, :, :0],
    }
    row = {
        "id": id,
        "prompt_ids": prompt_ids,
        "output_tokens": tokens,
        "censored": censored,
    }
    return row, arrays
