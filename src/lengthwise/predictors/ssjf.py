"""SSJF's proxy model: a fine-tuned encoder regresses or classifies the length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from lengthwise.core.bins import Bins, Floats
from lengthwise.core.query import Query
from lengthwise.errors import UserError
from lengthwise.predictors.base import Arrays, Fitting
from lengthwise.predictors.neural import Reader, Recipe, fine_tune
from lengthwise.predictors.scored import Curve, ScorePredictor

if TYPE_CHECKING:
    from lengthwise.answers.arrays import Answers

RECIPE = Recipe(epochs=6, batch=16, rate=1e-4, frozen_after=3)
"""The paper has a rate of 1e-5, on many times as many prompts."""

HIDDEN = 128

PERCENTILES = (25, 50, 75, 99)
"""Quantiles of the training lengths at which classes end."""

LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "l1": functional.l1_loss,
    "mse": functional.mse_loss,
    "5class": functional.cross_entropy,
    "ordinal": functional.l1_loss,
}


class SSJF(ScorePredictor):
    """Two hidden layers of 128 on a pretrained encoder (arXiv 2404.08509).

    ``l1`` and ``mse`` regress the length, ``5class`` classifies it, ``ordinal`` regresses
    the number of the class.

    Args:
        bins: [k] of total output tokens.
        curve: from scores to bins.
        reader: with one output, or one for each class.
        values: [out] what an output of 1, or a class, adds to the score: tokens, or for
            ``ordinal`` classes.
        variant: its target, one of the class's ``variants``.
    """

    name: ClassVar[str] = "ssjf"
    variants: ClassVar[tuple[str, ...]] = tuple(LOSSES)

    def __init__(
        self, bins: Bins, curve: Curve, reader: Reader, values: Floats, variant: str
    ) -> None:
        self.bins, self.curve = bins, curve
        self.reader, self.values, self.variant = reader, values, variant

    @classmethod
    def fit(cls, fit: Answers, tune: Answers, bins: Bins, how: Fitting) -> Self:
        """Keeps the epoch with the least loss on ``tune``, and learns the curve there.

        Raises:
            UserError: also if the answers are too alike to be of different classes.
        """
        variant = how.variant or cls.variants[0]
        targets, held, values = _targets(variant, fit.tokens, tune.tokens)
        loss = LOSSES[variant]
        reader = Reader.new(how, partial(_head, out=len(values)))
        fine_tune(
            reader,
            fit,
            tune,
            RECIPE.told(how),
            lambda outputs, at: loss(outputs.squeeze(1), targets[at]),
            lambda outputs: float(loss(outputs.squeeze(1), held)),
        )
        scores = _score(reader.read(tune.asked), values)
        curve = Curve.fit(scores, bins.index(tune.tokens), len(bins))
        return cls(bins, curve, reader, values, variant)

    def scores(self, asked: Sequence[Query]) -> Floats:
        """Predicted tokens, or classes if ``ordinal``: [n]."""
        return _score(self.reader.read(asked), self.values)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The backbone's name and the variant; all weights, the values and the curve."""
        settings = {"backbone": self.reader.backbone.name, "variant": self.variant}
        arrays = self.reader.arrays() | self.curve.arrays() | {"values": self.values}
        return settings, arrays

    @classmethod
    def restore(cls, bins: Bins, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The predictor that ``state`` described."""
        values = arrays["values"].astype(np.float32)
        reader = Reader.restore(settings["backbone"], partial(_head, out=len(values)), arrays)
        curve = Curve.restore(arrays, len(bins))
        return cls(bins, curve, reader, values, settings["variant"])


def _head(width: int, out: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(width, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, out),
    )


def _targets(
    variant: str, fit: NDArray[np.int64], tune: NDArray[np.int64]
) -> tuple[torch.Tensor, torch.Tensor, Floats]:
    """What to learn on both parts, [n] and [m], and the outputs' values."""
    if variant in ("l1", "mse"):
        # In units of the mean, the rates fit any cap.
        mean = float(fit.mean())
        parts = [torch.from_numpy((each / mean).astype(np.float32)) for each in (fit, tune)]
        return parts[0], parts[1], np.array([mean], dtype=np.float32)
    edges = np.unique(np.percentile(fit, PERCENTILES, method="lower"))
    # Where many answers hit the cap, several edges are the cap: classes without an answer.
    edges = edges[edges > fit.min()]
    if len(edges) == 0:
        raise UserError(f"ssjf:{variant}: too few different lengths: collect with a larger cap")
    classes = [torch.from_numpy(np.searchsorted(edges, each, side="right")) for each in (fit, tune)]
    if variant == "ordinal":
        return classes[0].float(), classes[1].float(), np.ones(1, dtype=np.float32)
    means = [fit[(classes[0] == i).numpy()].mean() for i in range(len(edges) + 1)]
    return classes[0], classes[1], np.array(means, dtype=np.float32)


def _score(outputs: torch.Tensor, values: Floats) -> Floats:
    """The only output times its value, or the expected class's: [n, out] -> [n]."""
    shares = outputs.softmax(dim=1) if len(values) > 1 else outputs
    scores: Floats = shares.numpy() @ values
    return scores
