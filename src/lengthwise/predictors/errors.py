"""How wrong a refining probe is: a model of its errors by age, and how it is fitted."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.arrays import Floats, Ints
from lengthwise.errors import reading


def arrays(given: Any, *names: str) -> list[Floats]:
    """The finite arrays of these names in a JSON object. Anything else is a ValueError."""
    try:
        found = [np.array(given[name], dtype=np.float64) for name in names]
    except KeyError as error:
        raise ValueError(f"no {error.args[0]}") from None
    except (TypeError, IndexError):
        raise ValueError("not arrays of numbers in an object") from None
    if not all(np.isfinite(each).all() for each in found):
        raise ValueError("numbers must be finite")
    return found


@dataclass(frozen=True)
class ErrorModel:
    """How wrong a refining probe is, by age (tokens generated so far).

    At age a the predicted remaining tokens of a request with x remaining are
    ``exp(bias + slope·log x + spread·z)``, at least 1. z is standard normal at every age
    and an AR(1) process along the request: from one token to the next it keeps the
    share ``rho``. Slope 1 and bias 0 make the error a factor around 1; a slope below 1
    is a probe that leans to the mean.

    It was fitted to predictions ``every`` tokens apart: errors are drawn at that distance,
    and in between the prediction counts down, as real ones move little in a token.

    Attributes:
        ages: the first age of each of k buckets, increasing from 0.
        bias, slope, spread, rho: k parameters each; spread from 0, rho within 0 and 1.
        every: tokens between two draws, at least 1.

    Raises:
        ValueError: if they are not such.
    """

    ages: tuple[int, ...]
    bias: tuple[float, ...]
    slope: tuple[float, ...]
    spread: tuple[float, ...]
    rho: tuple[float, ...]
    every: int = 1

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
        if self.every < 1:
            raise ValueError("every must be at least 1 token")

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
            given = json.loads(path.read_text())
            ages, *values = arrays(given, "ages", *names)
            if any(each.ndim != 1 for each in (ages, *values)):
                raise ValueError("not lists of numbers")
            whole = tuple(int(age) for age in ages)
            every = given.get("every", 1)
            if not isinstance(every, int):
                raise ValueError("every is not a number of tokens")
            bias, slope, spread, rho = (tuple(each.tolist()) for each in values)
            return cls(whole, bias, slope, spread, rho, every)


TRAIL = ErrorModel(ages=(0,), bias=(0.0,), slope=(1.0,), spread=(0.19,), rho=(0.98,))
"""One spread that gives 33.87 tokens mean absolute error, the validation error of the
authors' decode probe, over all tokens of Llama-3-8B-Instruct's AlpacaEval answers, cut at
512. How long errors last (rho) is a guess, 50 tokens. Fit your own."""


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
    Leave out requests cut at max_tokens: their remaining tokens are not known.

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
    every = int(np.median(gap[same])) if same.any() else 1
    return ErrorModel(ages, biases, slopes, spreads, tuple(rho), every)


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
