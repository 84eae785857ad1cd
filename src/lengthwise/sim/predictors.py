"""Predictors for the simulator: what a policy is told instead of the true lengths.

Only these objects and the engine see a workload's true lengths. Each predicts every
request's output tokens ``at_arrival``; ``Refined`` says more while a request runs, as
TRAIL's probe does.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.bins import Bins
from lengthwise.errors import UserError, reading
from lengthwise.sim.workload.core import Workload
from lengthwise.sim.workload.records import Record, number, records, tokens

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rng = np.random.Generator
Source = Literal["none", "prompt", "probe", "oracle"]
Rule = Callable[[Workload, Rng], Floats]


class Predictor(Protocol):
    """Predicts output lengths.

    Attributes:
        source: where predictions come from.
        refines: whether it predicts again while a request runs.
    """

    source: Source
    refines: bool

    def at_arrival(self, workload: Workload, rng: Rng) -> Floats:
        """Predicted output tokens of each request, [n]; NaN is unknown.

        Raises:
            UserError: if the predictor does not suit the workload.
        """

    def start(self, n: int, rng: Rng) -> Errors | None:
        """What refines the predictions of n requests in one run, if anything does."""


@dataclass
class Guess:
    """A predictor that speaks once: a rule from the workload to its predictions."""

    source: Source
    rule: Rule
    refines: bool = False

    def at_arrival(self, workload: Workload, rng: Rng) -> Floats:
        """What the rule says, [n]."""
        return self.rule(workload, rng)

    def start(self, n: int, rng: Rng) -> None:
        """Nothing: it does not refine."""


@dataclass(frozen=True)
class ErrorModel:
    """How wrong a refining probe is, by age (tokens generated so far).

    At age a the predicted remaining tokens of a request with x to come are
    ``exp(bias + slope·log x + spread·z)``, at least 1. z is standard normal at every age
    and an AR(1) process along the request: from one token to the next it keeps the
    share ``rho``. Slope 1 and bias 0 make the error a factor around 1; a slope below 1
    is a probe that leans to the mean.

    Attributes:
        ages: the first age of each of k buckets, increasing from 0.
        bias, slope, spread, rho: k parameters each; spread from 0, rho within 0 and 1.

    Raises:
        ValueError: if they are not such.
    """

    ages: tuple[int, ...]
    bias: tuple[float, ...]
    slope: tuple[float, ...]
    spread: tuple[float, ...]
    rho: tuple[float, ...]

    def __post_init__(self) -> None:
        values = (self.bias, self.slope, self.spread, self.rho)
        if not self.ages or self.ages[0] != 0 or any(a >= b for a, b in pairwise(self.ages)):
            raise ValueError("ages must increase from 0")
        if any(len(each) != len(self.ages) for each in values):
            raise ValueError(f"{len(self.ages)} ages need as many of each parameter")
        if not np.isfinite(values).all() or min(self.spread) < 0:
            raise ValueError("parameters must be finite, and spread not negative")
        if not all(0 < rho < 1 for rho in self.rho):
            raise ValueError("rho must be within 0 and 1, both excluded")

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> ErrorModel:
        """Read what ``save`` wrote.

        Raises:
            UserError: if the file is missing or not an error model.
        """
        names = ("bias", "slope", "spread", "rho")
        with reading(f"error model {path}", f"expected JSON with ages, {', '.join(names)}"):
            ages, *values = _arrays(path, "ages", *names)
            if any(each.ndim != 1 for each in (ages, *values)):
                raise ValueError("not lists of numbers")
            whole = tuple(int(age) for age in ages)
            return cls(whole, *(tuple(each.tolist()) for each in values))


TRAIL = ErrorModel(ages=(0,), bias=(0.0,), slope=(1.0,), spread=(0.19,), rho=(0.98,))
"""One spread that gives 33.87 tokens mean absolute error, the validation error of the
authors' decode probe, over all tokens of Llama-3-8B-Instruct's AlpacaEval answers, cut at
512. How long errors last (rho) is a guess, 50 tokens. Fit your own."""


class Errors:
    """The errors of n requests in one run; see ``ErrorModel``."""

    def __init__(self, model: ErrorModel, n: int, rng: Rng) -> None:
        bucket = np.searchsorted(model.ages, np.arange(model.ages[-1] + 1), side="right") - 1
        self._last = len(bucket) - 1
        columns = (np.log(model.rho), model.bias, model.slope, model.spread)
        self._by_age = np.array(columns)[:, bucket]
        self._z = rng.standard_normal(n)
        self._at = np.zeros(n)

    def remaining(self, index: Ints, true: Floats, age: Ints, rng: Rng) -> Floats:
        """Predicted remaining tokens of the requests ``index``, each [m], none twice.

        ``true`` remaining tokens are at least 1; ages never fall. At an age already seen
        the prediction is the same again.
        """
        log_rho, bias, slope, spread = self._by_age[:, np.minimum(age, self._last)]
        kept = np.exp(log_rho * (age - self._at[index]))
        z = kept * self._z[index] + np.sqrt(1.0 - kept * kept) * rng.standard_normal(len(index))
        self._z[index] = z
        self._at[index] = age
        return _floored(np.exp(bias + slope * np.log(true) + spread * z))


@dataclass
class Refined:
    """A probe that predicts again while a request runs, with the model's errors."""

    model: ErrorModel = TRAIL
    prompt: Predictor = field(default_factory=lambda: Guess("none", _none("")))
    source: Source = "probe"
    refines: bool = True

    def at_arrival(self, workload: Workload, rng: Rng) -> Floats:
        """What the prompt's predictor says, [n]: a waiting request has no hidden state."""
        return self.prompt.at_arrival(workload, rng)

    def start(self, n: int, rng: Rng) -> Errors:
        """The errors of one run."""
        return Errors(self.model, n, rng)


_FEWEST = 50
"""A bucket of ages with fewer predictions takes the parameters of all of them."""


def fit_error_model(
    true_remaining: Floats,
    predicted: Floats,
    age: Ints,
    request: Ints,
    ages: tuple[int, ...] = (0, 1, 64, 256),
) -> ErrorModel:
    """The error model of real predictions, each [n], sorted by request, then by age.

    In each bucket of ages: a line through the logarithms, the spread around it, and rho
    from how consecutive predictions of a request correlate, over the tokens between them.
    Leave out requests cut at max_tokens: what they had to come is not known.

    Raises:
        ValueError: if the arrays differ in length, are empty, not sorted or not finite.
    """
    rows = (true_remaining, predicted, age, request)
    if len({len(each) for each in rows}) != 1 or not len(age) or not np.isfinite(rows).all():
        raise ValueError("predictions must be finite, in arrays of one length, at least 1")
    gap, same = np.diff(age), np.diff(request) == 0
    apart = len(np.unique(request)) != len(age) - same.sum()
    if apart or age.min() < 0 or (gap[same] <= 0).any():
        raise ValueError("predictions must be sorted by request, then by age from 0")
    x, y = (np.log(np.maximum(each, 1.0)) for each in (true_remaining, predicted))
    bucket = np.searchsorted(ages, age, side="right") - 1
    chosen = [_enough(bucket == i) for i in range(len(ages))]
    lines = np.array([_line(x[rows], y[rows]) for rows in chosen])
    bias, slope, spread = lines[bucket].T
    z = (y - bias - slope * x) / np.maximum(spread, 1e-9)
    rho = []
    for i in range(len(ages)):
        pairs = np.flatnonzero(same & _enough(same & (bucket[1:] == i)))
        rho.append(_kept(z[pairs], z[pairs + 1], gap[pairs]))
    biases, slopes, spreads = (tuple(column) for column in lines.T.tolist())
    return ErrorModel(ages, biases, slopes, spreads, tuple(rho))


def _enough(rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return rows if rows.sum() >= _FEWEST else np.ones_like(rows)


def _line(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Intercept, slope and standard deviation of y around its regression on x."""
    slope = float(np.cov(x, y, bias=True)[0, 1] / x.var()) if np.ptp(x) > 0 else 1.0
    rest = y - slope * x
    return float(rest.mean()), slope, float(rest.std())


def _kept(before: Floats, after: Floats, gap: Ints) -> float:
    """The share of an error kept over one token, from pairs ``gap`` tokens apart."""
    norm = math.sqrt(float((before @ before) * (after @ after)))
    correlation = float(before @ after) / norm if norm > 0 else 0.0
    tokens_apart = float(gap.mean()) if len(gap) else 1.0
    return min(math.pow(max(correlation, 1e-6), 1.0 / tokens_apart), 0.9999)


def make_predictor(spec: str) -> Predictor:
    """Build a predictor from its name and argument.

    - ``none``: nothing is known. ``oracle``: the true length.
    - ``constant`` (the workload's median) or ``constant:TOKENS``.
    - ``lognormal:SIGMA``: the true length times a log-normal factor with median 1.
    - ``exponential``: exponential with the true length as its mean (TRAIL's M/G/1 model).
    - ``confusion:FILE.json``: ``{"edges": [k + 1], "matrix": [[k] * k]}``, a row for each
      true bin with weights of the predicted bins; a bin predicts its middle.
    - ``ssjf:FILE``: real BERT classes of requests about as long (within 10 %), each class
      standing for its mean true length. Lengths outside the file's count as its ends.
    - ``file:FILE``: a column ``predicted``, one record a request; empty is unknown.
    - ``refined`` or ``refined:FILE.json``: a refining probe with a fitted ``ErrorModel``.
      Nothing is known at arrival unless another predictor stands before it with a ``+``:
      ``lognormal:0.8+refined``.

    Raises:
        UserError: for an unknown name, a bad argument or an unreadable file.
    """
    refined = re.fullmatch(r"(?:(.*)\+)?refined(?::(.*))?", spec)
    if refined:
        prompt, file = refined.groups()
        model = ErrorModel.load(Path(file)) if file else TRAIL
        return Refined(model) if prompt is None else Refined(model, make_predictor(prompt))
    name, colon, argument = spec.partition(":")
    if name not in _RULES:
        known = ", ".join(sorted([*_RULES, "refined"]))
        raise UserError(f"unknown predictor {name!r}: choose from {known}")
    source, wants, make = _RULES[name]
    if (wants == "always" and not argument) or (wants == "never" and colon):
        raise UserError(f"predictor {name!r} takes {'one' if wants == 'always' else 'no'} argument")
    return Guess(source, make(argument))


def _none(argument: str) -> Rule:
    return lambda workload, rng: np.full(len(workload), np.nan)


def _oracle(argument: str) -> Rule:
    return lambda workload, rng: workload.output.astype(np.float64)


def _constant(argument: str) -> Rule:
    given = _positive("constant", argument) if argument else None

    def rule(workload: Workload, rng: Rng) -> Floats:
        return np.full(len(workload), np.median(workload.output) if given is None else given)

    return rule


def _lognormal(argument: str) -> Rule:
    sigma = _positive("lognormal", argument)
    return lambda workload, rng: _floored(
        workload.output * rng.lognormal(0.0, sigma, len(workload))
    )


def _exponential(argument: str) -> Rule:
    return lambda workload, rng: _floored(rng.exponential(workload.output))


def _confusion(argument: str) -> Rule:
    advice = 'expected {"edges": [k + 1], "matrix": [[k] * k]}'
    with reading(f"confusion matrix {argument}", advice):
        edges, matrix = _arrays(Path(argument), "edges", "matrix")
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
        return _floored(bins.values[predicted].astype(np.float64))

    return rule


def _ssjf(argument: str) -> Rule:
    """Rows sorted by true length; a request draws one of those within 10 % of its own."""
    pairs = _column(
        argument, lambda record: (tokens(record, "output_tokens"), number(record, "pred_5class"))
    )
    real, classes = np.array(sorted(pairs), dtype=np.float64).T
    found, predicted = np.unique(classes, return_inverse=True)
    means = np.bincount(predicted, weights=real) / np.bincount(predicted, minlength=len(found))

    def rule(workload: Workload, rng: Rng) -> Floats:
        near = np.clip(workload.output, real[0], real[-1])
        low = np.minimum(np.searchsorted(real, near / 1.1, side="left"), len(real) - 1)
        high = np.maximum(np.searchsorted(real, near * 1.1, side="right"), low + 1)
        return _floored(means[predicted[rng.integers(low, high)]])

    return rule


def _file(argument: str) -> Rule:
    def prediction(record: Record) -> float:
        unknown = "predicted" in record and record["predicted"] in ("", None)
        return math.nan if unknown else number(record, "predicted")

    given = np.array(_column(argument, prediction))

    def rule(workload: Workload, rng: Rng) -> Floats:
        if len(given) < len(workload):
            short = f"{len(given)} predictions, {len(workload)} are needed"
            raise UserError(f"predictions {argument} has {short}")
        return _floored(given[: len(workload)])

    return rule


def _column(path: str, value: Callable[[Record], Any]) -> list[Any]:
    """One value of each record of a file of predictions."""
    found = []
    for line, record in records(Path(path), "predictions"):
        try:
            found.append(value(record))
        except ValueError as error:
            raise UserError(f"predictions {path}, line {line}: {error}") from None
    if not found:
        raise UserError(f"predictions {path}: no records in it")
    return found


def _arrays(path: Path, *names: str) -> list[Floats]:
    """The finite arrays of these names in a JSON object. Anything else is a ValueError."""
    given: Any = json.loads(path.read_text())
    try:
        arrays = [np.array(given[name], dtype=np.float64) for name in names]
    except KeyError as error:
        raise ValueError(f"no {error.args[0]}") from None
    except (TypeError, IndexError):
        raise ValueError("not arrays of numbers in an object") from None
    if not all(np.isfinite(each).all() for each in arrays):
        raise ValueError("numbers must be finite")
    return arrays


def _floored(predicted: Floats) -> Floats:
    """At least one token, as an answer has; NaN stays."""
    floored: Floats = np.maximum(predicted, 1.0)
    return floored


def _positive(name: str, argument: str) -> float:
    try:
        value = float(argument)
    except ValueError:
        value = np.nan
    if not 0 < value < np.inf:
        raise UserError(f"predictor {name!r} takes a positive number, not {argument!r}")
    return value


_RULES: dict[str, tuple[Source, Literal["never", "maybe", "always"], Callable[[str], Rule]]] = {
    "none": ("none", "never", _none),
    "oracle": ("oracle", "never", _oracle),
    "constant": ("prompt", "maybe", _constant),
    "lognormal": ("prompt", "always", _lognormal),
    "exponential": ("prompt", "never", _exponential),
    "confusion": ("prompt", "always", _confusion),
    "ssjf": ("prompt", "always", _ssjf),
    "file": ("prompt", "always", _file),
}
"""Name: source, whether it takes an argument, and what builds its rule from that."""
