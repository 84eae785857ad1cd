"""What a prediction costs: milliseconds for a request, and for a generated token."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice

import numpy as np

from lengthwise.answers.arrays import Answers
from lengthwise.core.lengths import Lengths
from lengthwise.evaluate.held_out import pick
from lengthwise.predictors.base import LengthPredictor

Predict = Callable[[Answers], Lengths]
Clock = Callable[[], float]
"""Seconds."""

REPEATS = 50
BATCH = 16
"""Requests that decode together."""


def ms_per_request(
    predictor: LengthPredictor, answers: Answers, clock: Clock = time.perf_counter
) -> float:
    """Median milliseconds of predicting one request alone at arrival, its mean read out."""
    ones = [opening(answers, [number], 1) for number in range(min(REPEATS, len(answers)))]
    return _median_ms(predictor.first, ones, clock)


def ms_per_token(
    predictor: LengthPredictor, answers: Answers, clock: Clock = time.perf_counter
) -> float | None:
    """Predicting again, a token and request, in batches of 16; None for what speaks once.

    A refinement takes two positions, so the probe reads 32 rows instead of 16: an upper
    bound.
    """
    several = [i for i, (_, arrays) in enumerate(answers.rows) if len(arrays["ages"]) > 1]
    if predictor.reads != "states" or not several:
        return None
    batch = opening(answers, list(islice(cycle(several), BATCH)), 2)
    return _median_ms(predictor.remaining, [batch], clock) / BATCH


def opening(answers: Answers, numbers: list[int], most: int) -> Answers:
    """Some answers, each with its first positions only, stacked and ready."""
    rows = [
        (row, arrays | {name: arrays[name][:most] for name in ("ages", "states")})
        for row, arrays in pick(answers, numbers).rows
    ]
    asked = [answers.asked[number] for number in numbers]
    found = Answers(answers.model, answers.layers, answers.cap, asked, rows)
    # Stacked here, not while the clock runs.
    assert len(found.positions.age) <= most * len(numbers)
    return found


def _median_ms(predict: Predict, inputs: Sequence[Answers], clock: Clock) -> float:
    """Of 50 calls on the inputs in turn; three more warm up."""
    seconds = []
    for each in islice(cycle(inputs), REPEATS + 3):
        start = clock()
        predict(each).mean()
        seconds.append(clock() - start)
    return float(1000.0 * np.median(seconds[3:]))
