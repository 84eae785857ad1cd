"""How wrong a predictor is: when a request arrives, and while it is generated.

Every figure comes as draws (``bootstrap.py``). An answer that was cut counts as ending at
the cap, which is what a scheduler meets; figures named ``uncensored`` leave such answers
out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lengthwise.answers.arrays import Answers
from lengthwise.core.lengths import Lengths
from lengthwise.predictors.accuracy import absolute_errors
from lengthwise.predictors.points import points
from lengthwise.results.bootstrap import Draws, Resamples

Table = dict[str, Draws]

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Quantiles whose pinball loss is measured."""

DECILES = tuple(round(0.1 * i, 1) for i in range(1, 10))
CENTRAL = (0.5, 0.8, 0.9)
"""Central intervals whose coverage is measured."""

AGES = (0, 1, 32, 64, 128, 256)
"""Generated tokens at which a bucket starts."""


@dataclass(frozen=True)
class Said:
    """A predictor's predictions for some answers.

    Attributes:
        first: [n] distributions of total tokens, predicted at arrival.
        remaining: [rows] distributions of what is left at each position.
    """

    first: Lengths
    remaining: Lengths


def constant_median(fit: Answers, test: Answers) -> Said:
    """The baseline: always the median of what was learned from, at arrival and afterwards."""
    at = fit.positions
    total, left = float(np.median(fit.tokens)), float(np.median(at.left[at.grid]))
    return Said(_always(total, len(test)), _always(left, len(test.positions.left)))


def judge(said: Said, answers: Answers, resamples: Resamples) -> dict[str, Table]:
    """All figures, by stage: ``arrival`` and ``remaining``."""
    return {
        "arrival": at_arrival(said.first, answers, resamples),
        "remaining": while_generating(said.remaining, answers, resamples),
    }


def at_arrival(first: Lengths, answers: Answers, resamples: Resamples) -> Table:
    """Errors in tokens, order of pairs, pinball losses and calibration of first words."""
    total, ended = answers.tokens, ~answers.censored
    table: Table = {}
    for readout, error in absolute_errors(first, total).items():
        table[f"mae{readout}"] = resamples.mean(error)
        table[f"mae_uncensored{readout}"] = resamples.mean(error * ended, ended)
    table |= order(first.mean(), total, resamples)
    for level in LEVELS:
        losses = pinball(first.quantile(level), total, level)
        table[f"pinball_{level}"] = resamples.mean(losses)
    return table | calibration(first, total, answers.censored, resamples)


def while_generating(remaining: Lengths, answers: Answers, resamples: Resamples) -> Table:
    """Errors in remaining tokens on the even grid of positions, also by generated tokens."""
    at = answers.positions
    masks = {"mae": at.grid, "mae_uncensored": at.grid & ~at.censored}
    for name, low, high in buckets():
        masks[f"mae_age_{name}"] = at.grid & (at.age >= low) & (at.age < high)
    table: Table = {}
    for readout, error in absolute_errors(remaining, at.left).items():
        for name, mask in masks.items():
            table[f"{name}{readout}"] = resamples.of_rows(error[mask], at.request[mask])
    return table


def buckets() -> list[tuple[str, float, float]]:
    """Name, first age and the age after the last of each bucket of generated tokens."""
    found = []
    for low, high in zip(AGES, [*AGES[1:], np.inf], strict=True):
        name = f"{low}+" if high == np.inf else f"{low}" if high == low + 1 else f"{low}-{high - 1}"
        found.append((name, float(low), float(high)))
    return found


def order(said: NDArray[np.floating], true: NDArray[np.number], resamples: Resamples) -> Table:
    """Kendall's τ-b, and the share of pairs in the right order, resampled.

    Without resampling τ-b is that of :func:`lengthwise.predictors.accuracy.tau`.
    Pairs of equal truth are left out of the share; equally predicted ones count half.
    """
    # Predictions closer than a thousandth of a token are the same: the rest is rounding.
    ours, theirs = _signs(np.round(said.astype(np.float64), 3)), _signs(true)
    agree = resamples.pairs(ours * theirs)
    apart = resamples.pairs(np.abs(theirs))
    with np.errstate(invalid="ignore", divide="ignore"):
        tau: Draws = agree / np.sqrt(apart * resamples.pairs(np.abs(ours)))
        pairs: Draws = (1.0 + agree / apart) / 2.0
    return {"tau": tau, "pairs": pairs}


def pinball(
    said: NDArray[np.floating], true: NDArray[np.number], level: float
) -> NDArray[np.float64]:
    """Loss of a quantile, [n]: its expectation is least at the true quantile."""
    over = np.asarray(true, dtype=np.float64) - said
    losses: NDArray[np.float64] = np.maximum(level * over, (level - 1.0) * over)
    return losses


def calibration(
    lengths: Lengths,
    tokens: NDArray[np.int64],
    censored: NDArray[np.bool_],
    resamples: Resamples,
) -> Table:
    """Share of answers below each decile, and inside central intervals.

    Lengths are whole tokens and many end at the cap, so an answer takes up a stretch of the
    distribution (half a token to both sides, or all from the cap on) and counts with the
    part of it that lies below the level (the non-randomised probability integral transform
    of Czado et al. 2009).
    """
    low = upto(lengths, tokens - 0.5)
    high = np.where(censored, 1.0, upto(lengths, tokens + 0.5))

    def below(level: float) -> NDArray[np.float64]:
        part: NDArray[np.float64] = np.clip((level - low) / np.maximum(high - low, 1e-9), 0.0, 1.0)
        return part

    table = {f"below_{level}": resamples.mean(below(level)) for level in DECILES}
    off = [np.abs(table[f"below_{level}"] - level) for level in DECILES]
    table["calibration_error"] = np.mean(off, axis=0)
    for share in CENTRAL:
        inside = below((1 + share) / 2) - below((1 - share) / 2)
        table[f"within_{share}"] = resamples.mean(inside)
    return table


def upto(lengths: Lengths, tokens: NDArray[np.number]) -> NDArray[np.float64]:
    """Probability of at most so many tokens [n], limits apart: [n]."""
    inside = (np.asarray(tokens, dtype=np.float64)[:, None] - lengths.lower) / np.maximum(
        lengths.upper - lengths.lower, 1e-9
    )
    reached: NDArray[np.float64] = np.einsum(
        "nk,nk->n", np.clip(inside, 0.0, 1.0), lengths.probabilities.astype(np.float64)
    )
    return reached


def times_better(ours: dict[str, Table], other: dict[str, Table]) -> dict[str, Table]:
    """The other's errors over ours, paired: 2 means half its error.

    The other's mean is what it schedules by, so both of our readouts are set against that.
    """
    names = ("mae", "mae_uncensored")
    # An oracle has no error to divide by.
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            stage: {
                f"{name}{readout}": other[stage][name] / ours[stage][f"{name}{readout}"]
                for name in names
                for readout in ("", "_median")
            }
            for stage in ("arrival", "remaining")
        }


def _always(tokens: float, n: int) -> Lengths:
    return points(np.full(n, tokens), np.full(n, np.inf))


def _signs(values: NDArray[np.number]) -> NDArray[np.float32]:
    """Of the differences between all pairs: [n, n]."""
    signs: NDArray[np.float32] = np.sign(values[:, None] - values[None, :]).astype(np.float32)
    return signs
