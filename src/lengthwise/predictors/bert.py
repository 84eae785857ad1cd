"""A fine-tuned encoder over bins: what TRAIL is compared with, and starts from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import nn

from lengthwise.core.bins import Bins
from lengthwise.core.lengths import Lengths
from lengthwise.core.query import Query, limits
from lengthwise.predictors.base import Arrays, Fitting, PromptPredictor
from lengthwise.predictors.neural import Reader, Recipe, fine_tune
from lengthwise.predictors.trail_fit import likelihood_loss

if TYPE_CHECKING:
    from lengthwise.answers.arrays import Answers

RECIPE = Recipe(epochs=6, batch=32, rate=1e-4)


class Bert(PromptPredictor):
    """A linear layer on a pretrained encoder classifies the length (arXiv 2410.01035).

    An answer cut at the cap counts as at least that long.

    Args:
        bins: [k] of total output tokens.
        reader: with an output for each bin.
    """

    name: ClassVar[str] = "bert"

    def __init__(self, bins: Bins, reader: Reader) -> None:
        self.bins, self.reader = bins, reader

    @classmethod
    def fit(cls, fit: Answers, tune: Answers, bins: Bins, how: Fitting) -> Self:
        """Keeps the epoch with the largest likelihood on ``tune``."""
        bin_, held = (torch.from_numpy(bins.index(each.tokens)) for each in (fit, tune))
        cut, held_cut = (torch.from_numpy(each.censored) for each in (fit, tune))
        reader = Reader.new(how, partial(nn.Linear, out_features=len(bins)))
        fine_tune(
            reader,
            fit,
            tune,
            RECIPE.told(how),
            lambda outputs, at: likelihood_loss(outputs, bin_[at], cut[at]),
            lambda outputs: float(likelihood_loss(outputs, held, held_cut)),
        )
        return cls(bins, reader)

    def lengths(self, asked: Sequence[Query]) -> Lengths:
        """The bins' probabilities."""
        shares = self.reader.read(asked).softmax(dim=1).numpy()
        return Lengths.of(self.bins, shares, limits(asked))

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The backbone's name; all weights."""
        return {"backbone": self.reader.backbone.name}, self.reader.arrays()

    @classmethod
    def restore(cls, bins: Bins, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The predictor that ``state`` described."""
        head = partial(nn.Linear, out_features=len(bins))
        return cls(bins, Reader.restore(settings["backbone"], head, arrays))
