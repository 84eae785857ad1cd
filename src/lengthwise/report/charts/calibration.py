"""How well answers were predicted: predicted against actual tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lengthwise.core.arrays import Floats
from lengthwise.report.look import FAINT, line
from lengthwise.report.numbers import plain
from lengthwise.report.parts import Cell, Chart, Table
from lengthwise.report.plots import logarithmic, look, name_lines, nothing, plot
from lengthwise.report.served import Served

_BINS = 10


@dataclass(frozen=True, eq=False)
class Judged:
    """Predictions of one run, judged on the requests that finished.

    Attributes:
        name: of the run.
        requests: how many had a prediction and finished.
        error: mean absolute error in tokens.
        right: share of pairs of requests of different length that were ordered right; a
            tie counts half. 0.5 is guessing.
        predicted, mean, low, high: [bins] mean predicted tokens; mean, p10 and p90 of the
            actual ones.
        counts: [bins] requests.
    """

    name: str
    requests: int
    error: float
    right: float
    predicted: Floats
    mean: Floats
    low: Floats
    high: Floats
    counts: Floats


def calibration(served: Sequence[Served]) -> Chart:
    """Actual against predicted tokens, a line for each run that had predictions."""
    found = [it for it in map(judged, served) if it is not None]
    with look():
        figure, (axes,) = plot("predicted output tokens", ["actual output tokens"])
        lines = []
        for number, it in enumerate(found):
            reach = np.array([it.mean - it.low, it.high - it.mean]).clip(0.0)
            at = it.predicted * 1.03 ** (number - (len(found) - 1) / 2)
            lines.append(axes.errorbar(at, it.mean, reach, capsize=2, **line(number)))
        if found:
            ends = np.concatenate([each for it in found for each in (it.predicted, it.mean)])
            both = [float(ends.min()), float(ends.max())]
            axes.plot(both, both, color=FAINT.light, linewidth=1.0)
            logarithmic(axes, "x")
            logarithmic(axes, "y")
            name_lines(figure, lines, [it.name for it in found])
        else:
            nothing(axes, "no prediction is known")
    title = "Predicted against actual tokens (points: means; bars: p10 to p90; line: perfect)"
    return Chart("calibration", figure, title, _described(found), _table(found))


def judged(served: Served) -> Judged | None:
    """How good a run's predictions were; None if it had none."""
    if served.predicted is None:
        return None
    known = np.isfinite(served.predicted) & np.isfinite(served.finish) & (served.output > 0)
    predicted, actual = np.maximum(served.predicted[known], 1.0), served.output[known].astype(float)
    if not len(actual):
        return None
    ends = np.unique(np.quantile(predicted, np.linspace(0.0, 1.0, _BINS + 1)))
    bins = np.clip(np.searchsorted(ends, predicted, side="right") - 1, 0, max(len(ends) - 2, 0))
    rows = np.array(
        [
            (predicted[own].mean(), actual[own].mean(), *np.quantile(actual[own], (0.1, 0.9)), n)
            for each in np.unique(bins)
            for own in [bins == each]
            for n in [own.sum()]
        ]
    )
    error = float(np.abs(predicted - actual).mean())
    return Judged(served.name, len(actual), error, pairs_right(predicted, actual), *rows.T)


def pairs_right(predicted: Floats, actual: Floats) -> float:
    """Share of pairs with different actual lengths, both [n], that predictions order right.

    Ties of predictions count half; NaN if all lengths are alike. In O(n log n), by Kendall's
    tau-b, whose numerator is the pairs ordered right less those ordered wrong.
    """
    from scipy.stats import kendalltau

    n = len(actual)
    pairs = n * (n - 1) / 2
    apart, told = pairs - _tied(actual), pairs - _tied(predicted)
    if not apart:
        return math.nan
    if not told:
        return 0.5
    tau = float(kendalltau(predicted, actual).statistic)
    return 0.5 + 0.5 * tau * math.sqrt(told / apart)


def _tied(values: Floats) -> float:
    counts = np.unique(values, return_counts=True)[1].astype(float)
    return float((counts * (counts - 1) / 2).sum())


def _described(found: Sequence[Judged]) -> str:
    parts = ["Mean actual tokens of requests with about the same predicted tokens."]
    for it in found:
        order = (
            "" if math.isnan(it.right) else f", and {100 * it.right:.0f} % of pairs are in order"
        )
        parts.append(
            f"{it.name}: over {it.requests:,} requests the mean absolute error is "
            f"{plain(it.error)} tokens{order}."
        )
    return " ".join(parts)


def _table(found: Sequence[Judged]) -> Table:
    rows: list[list[Cell]] = [
        [it.name, int(count), *map(float, row), it.error, it.right]
        for it in found
        for *row, count in zip(it.predicted, it.mean, it.low, it.high, it.counts, strict=True)
    ]
    heads = ["run", "requests", "predicted", "mean actual", "p10", "p90", "MAE", "pairs in order"]
    note = (
        "Tokens. MAE and the share of pairs in order (0.5 is guessing) are of the whole run: "
        "the same in each of its rows."
    )
    return Table("calibration-bins", "Predictions", heads, rows, note, folded=True)
