"""The calibration of a version as a figure."""

from __future__ import annotations

from pathlib import Path

from lengthwise.online.classes import classes_of
from lengthwise.online.version import Judged
from lengthwise.results.plotting import labelled, save

SIZE = (6.0, 5.0)
"""In inches."""


def draw_calibration(judged: Judged, path: Path) -> Path:
    """Predicted against true tokens of each request, and the means of each class of lengths."""
    figure, axes = labelled("true tokens", "predicted tokens", SIZE)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    predicted = [max(each, 1.0) for each in judged.predicted]
    ends = [1.0, max(*judged.tokens, *predicted)]
    axes.plot(ends, ends, color="0.6", linestyle="--", label="exact")
    axes.scatter(judged.tokens, predicted, s=8, alpha=0.4, label="a request")
    classes = classes_of(judged)
    means = [max(each.predicted, 1.0) for each in classes]
    axes.plot([each.tokens for each in classes], means, "o-", color="C3", label="mean of a class")
    return save(figure, path, axes)
