"""Predictors that speak once, at arrival: a rule from the workload to its predictions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from lengthwise.core.arrays import Floats, Rng, floored
from lengthwise.core.bins import Bins
from lengthwise.errors import UserError, reading
from lengthwise.predictors.errors import arrays
from lengthwise.sim.predictors.base import Rule, Source, unknown
from lengthwise.traces.records import Record, column, number, tokens
from lengthwise.workload.workload import Workload


def _none(argument: str) -> Rule:
    return unknown


def _oracle(argument: str) -> Rule:
    return lambda workload, rng: workload.output.astype(np.float64)


def _constant(argument: str) -> Rule:
    given = _positive("constant", argument) if argument else None

    def rule(workload: Workload, rng: Rng) -> Floats:
        return np.full(len(workload), np.median(workload.output) if given is None else given)

    return rule


def _reversed(argument: str) -> Rule:
    """The longer an answer, the shorter it is said to be."""
    return lambda workload, rng: floored(np.median(workload.output) ** 2 / workload.output)


def _lognormal(argument: str) -> Rule:
    sigma = _positive("lognormal", argument)
    return lambda workload, rng: floored(workload.output * rng.lognormal(0.0, sigma, len(workload)))


def _exponential(argument: str) -> Rule:
    return lambda workload, rng: floored(rng.exponential(workload.output))


def _confusion(argument: str) -> Rule:
    advice = 'expected {"edges": [k + 1], "matrix": [[k] * k]}'
    with reading(f"confusion matrix {argument}", advice):
        edges, matrix = arrays(json.loads(Path(argument).read_text()), "edges", "matrix")
        bins = Bins.of(edges)
        if matrix.shape != (len(bins), len(bins)):
            raise ValueError(f"{len(bins)} bins need a matrix of {len(bins)} rows and columns")
        if not (matrix >= 0).all() or not (matrix.sum(axis=1) > 0).all():
            raise ValueError("a row of weights must not be negative, nor all 0")
    until = np.cumsum(matrix / matrix.sum(axis=1, keepdims=True), axis=1)[:, :-1]

    def rule(workload: Workload, rng: Rng) -> Floats:
        true, chance = bins.index(workload.output), rng.random(len(workload))
        predicted = np.zeros(len(workload), np.int64)
        for row in np.unique(true):
            here = true == row
            predicted[here] = np.searchsorted(until[row], chance[here], side="right")
        return floored(bins.values[predicted].astype(np.float64))

    return rule


def _ssjf(argument: str) -> Rule:
    """Rows sorted by true length; a request draws one of those within 10 % of its own."""
    pairs = column(
        argument, lambda record: (tokens(record, "output_tokens"), number(record, "pred_5class"))
    )
    real, classes = np.array(sorted(pairs), dtype=np.float64).T
    found, predicted = np.unique(classes, return_inverse=True)
    means = np.bincount(predicted, weights=real) / np.bincount(predicted, minlength=len(found))

    def rule(workload: Workload, rng: Rng) -> Floats:
        near = np.clip(workload.output, real[0], real[-1])
        low = np.minimum(np.searchsorted(real, near / 1.1, side="left"), len(real) - 1)
        high = np.maximum(np.searchsorted(real, near * 1.1, side="right"), low + 1)
        return floored(means[predicted[rng.integers(low, high)]])

    return rule


def _forest(argument: str) -> Rule:
    """Magnus's forest without the user's words, by trees that have not seen the request."""
    from lengthwise.predictors.forest import Forest

    def rule(workload: Workload, rng: Rng) -> Floats:
        names = [id.partition(":")[0] for id in workload.id] or ["all"] * len(workload)
        # A column for each application: there is no order among them.
        columns = np.array(names)[:, None] == np.unique(names)
        features = np.column_stack([workload.prompt, columns]).astype(np.float32)
        options = {"n_estimators": 100, "min_samples_leaf": 5}
        _, unseen = Forest.fit(features, workload.output, int(rng.integers(1 << 31)), **options)
        return floored(unseen)

    return rule


def _file(argument: str) -> Rule:
    def prediction(record: Record) -> float:
        unknown = "predicted" in record and record["predicted"] in ("", None)
        return math.nan if unknown else number(record, "predicted")

    given = np.array(column(argument, prediction))

    def rule(workload: Workload, rng: Rng) -> Floats:
        if len(given) < len(workload):
            short = f"{len(given)} predictions, {len(workload)} are needed"
            raise UserError(f"predictions {argument} has {short}")
        return floored(given[: len(workload)])

    return rule


def _positive(name: str, argument: str) -> float:
    try:
        value = float(argument)
    except ValueError:
        value = np.nan
    if not 0 < value < np.inf:
        raise UserError(f"predictor {name!r} takes a positive number, not {argument!r}")
    return value


RULES: dict[str, tuple[Source, Literal["never", "maybe", "always"], Callable[[str], Rule]]] = {
    "none": ("none", "never", _none),
    "oracle": ("oracle", "never", _oracle),
    "constant": ("prompt", "maybe", _constant),
    "reversed": ("prompt", "never", _reversed),
    "lognormal": ("prompt", "always", _lognormal),
    "exponential": ("prompt", "never", _exponential),
    "confusion": ("prompt", "always", _confusion),
    "ssjf": ("prompt", "always", _ssjf),
    "file": ("prompt", "always", _file),
    "forest": ("prompt", "never", _forest),
}
"""Name: source, whether it takes an argument, and what builds its rule from that."""
"""Name: source, whether it takes an argument, and what builds its rule from that."""
