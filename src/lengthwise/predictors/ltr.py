"""Learning to rank: a fine-tuned language model orders requests by length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import nn
from torch.nn import functional

from lengthwise.core.bins import Bins, Floats
from lengthwise.core.query import Query
from lengthwise.errors import UserError
from lengthwise.predictors.accuracy import tau
from lengthwise.predictors.base import Arrays, Fitting
from lengthwise.predictors.neural import Reader, Recipe, fine_tune
from lengthwise.predictors.scored import Curve, ScorePredictor

if TYPE_CHECKING:
    from lengthwise.answers.arrays import Answers

RECIPE = Recipe(epochs=5, batch=32, rate=2e-4)
"""The paper has a rate of 2e-5, on ten times as many prompts; 1e-4 is worse here."""

BUCKET = 10
"""Tokens to a bucket; lengths in one bucket count as equal."""

MARGIN = 1.0
"""Margin by which a longer answer's score shall exceed a shorter one's."""


def list_mle(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """ListMLE: minus the log-likelihood of the list being drawn shortest first.

    Shapes: scores [n, 1] (smaller is shorter), labels [n]; equal ones are in random order.
    """
    shuffled = torch.randperm(len(labels))
    order = shuffled[labels[shuffled].argsort(stable=True)]
    preference = -scores[order, 0]
    preference = preference - preference.max()
    rest = preference.flip(0).logcumsumexp(dim=0).flip(0)
    return (rest - preference).sum()


def margin_ranking(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean shortfall of the margin over all pairs with different labels (PARS, 2510.03243).

    Shapes: scores [n, 1] (smaller is shorter), labels [n].
    """
    longer, shorter = torch.nonzero(labels[:, None] > labels, as_tuple=True)
    shortfall = (MARGIN - scores[longer, 0] + scores[shorter, 0]).relu()
    return shortfall.sum() / max(1, len(shortfall))


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "listwise": list_mle,
    "pairwise": margin_ranking,
    "bucket10": functional.cross_entropy,
    "bucket100": functional.cross_entropy,
    "bucket820": functional.cross_entropy,
}


class LTR(ScorePredictor):
    """One linear score on a language model, learned from the order (arXiv 2408.15792).

    The ``bucket`` variants are the paper's comparison: they classify the length into
    buckets of that many tokens; the score is the expected bucket.

    Args:
        bins: [k] of total output tokens.
        curve: from scores to bins.
        reader: with one output, or one for each bucket.
        variant: which of the losses it learned by.
    """

    name: ClassVar[str] = "ltr"
    variants: ClassVar[tuple[str, ...]] = tuple(LOSSES)

    def __init__(self, bins: Bins, curve: Curve, reader: Reader, variant: str) -> None:
        self.bins, self.curve, self.reader, self.variant = bins, curve, reader, variant

    @classmethod
    def fit(cls, fit: Answers, tune: Answers, bins: Bins, how: Fitting) -> Self:
        """Keeps the epoch with the best Kendall's τ on ``tune``, and learns the curve there.

        Raises:
            UserError: also if all answers fall into one bucket.
        """
        variant = how.variant or cls.variants[0]
        classify = variant.startswith("bucket")
        labels = torch.from_numpy(fit.tokens) // _bucket(variant)
        buckets = int(labels.max()) + 1
        if classify and buckets < 2:
            raise UserError(
                f"ltr:{variant}: all answers fall into one bucket; "
                "use a smaller bucket or collect with a larger cap"
            )
        reader = Reader.new(how, partial(nn.Linear, out_features=buckets if classify else 1))
        fine_tune(
            reader,
            fit,
            tune,
            RECIPE.told(how),
            lambda outputs, at: LOSSES[variant](outputs, labels[at]),
            lambda outputs: -tau(_score(outputs), tune.tokens),
        )
        scores = _score(reader.read(tune.asked))
        curve = Curve.fit(scores, bins.index(tune.tokens), len(bins))
        return cls(bins, curve, reader, variant)

    def scores(self, asked: Sequence[Query]) -> Floats:
        """Scores or expected buckets, [n]: smaller is shorter (in the paper it is larger)."""
        return _score(self.reader.read(asked))

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The backbone's name and the variant; all weights and the curve."""
        settings = {"backbone": self.reader.backbone.name, "variant": self.variant}
        return settings, self.reader.arrays() | self.curve.arrays()

    @classmethod
    def restore(cls, bins: Bins, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The predictor that ``state`` described."""
        head = partial(nn.Linear, out_features=len(arrays["head.weight"]))
        reader = Reader.restore(settings["backbone"], head, arrays)
        return cls(bins, Curve.restore(arrays, len(bins)), reader, settings["variant"])


def _bucket(variant: str) -> int:
    return int(variant.removeprefix("bucket")) if variant.startswith("bucket") else BUCKET


def _score(outputs: torch.Tensor) -> Floats:
    """The only output, or the expected bucket: [n, out] -> [n]."""
    if outputs.shape[1] > 1:
        outputs = outputs.softmax(dim=1) @ torch.arange(outputs.shape[1]).float()[:, None]
    scores: Floats = outputs[:, 0].numpy()
    return scores
