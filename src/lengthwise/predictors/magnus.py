"""Magnus's predictor: a random forest on the input's length and sentence embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.bins import Bins, Floats
from lengthwise.core.lengths import Lengths
from lengthwise.core.query import Query, limits
from lengthwise.predictors.base import Arrays, Fitting, PromptPredictor
from lengthwise.predictors.forest import Forest
from lengthwise.predictors.magnus_inputs import Compression, Inputs, Part, input_tokens
from lengthwise.predictors.points import points
from lengthwise.predictors.scored import Curve

if TYPE_CHECKING:
    from lengthwise.answers.arrays import Answers

FOREST: dict[str, Any] = {"n_estimators": 200, "min_samples_leaf": 5, "max_features": 1 / 3}
"""scikit-learn's options, for the paper names none: leaves of 1 to 15 differ by 0.02 in τ."""


@dataclass(frozen=True)
class Options:
    """Which parts' embeddings the forest reads beside the length, and how compressed."""

    parts: tuple[Part, ...] = ("instruction", "input")
    compression: Compression = "pca"


VARIANTS: dict[str, Options | None] = {
    "": Options(),
    "groups": Options(compression="groups"),
    "instruction": Options(("instruction",)),
    "length": Options(()),
    "input-length": None,
}
"""The whole, and the paper's ablations; ``input-length`` has no forest.

Principal components predict better than group means: 0.42 against 0.32 in Kendall's τ on the
prompts to choose by.
"""


class Magnus(PromptPredictor):
    """Length and compressed embeddings → random forest → tokens (arXiv 2406.04785).

    The forest's mean ranks requests; a curve makes a distribution of it. Magnus knows the
    application: its instruction stands before the first blank line of our prompts, the
    user's input after it; a prompt without one is both. An answer cut at the cap counts with
    the cap.

    Args:
        bins: [k] of total output tokens.
        inputs: what the forest reads.
        model: the forest and the curve from its answers to bins; without it the input's
            length is the answer's.
    """

    name: ClassVar[str] = "magnus"
    variants: ClassVar[tuple[str, ...]] = tuple(VARIANTS)

    def __init__(self, bins: Bins, inputs: Inputs, model: tuple[Forest, Curve] | None) -> None:
        self.bins, self.inputs, self.model = bins, inputs, model

    @classmethod
    def fit(cls, fit: Answers, tune: Answers, bins: Bins, how: Fitting) -> Self:
        """Fit a forest, and the curve from its predictions out of the bag."""
        inputs, options = Inputs(how.backbone, {}), VARIANTS[how.variant]
        if options is None:
            return cls(bins, inputs, None)
        read = inputs.fit(fit.asked, options.parts, options.compression)
        forest, unseen = Forest.fit(read, fit.tokens, how.seed, **FOREST)
        curve = Curve.fit(unseen, bins.index(fit.tokens), len(bins))
        return cls(bins, inputs, (forest, curve))

    def scores(self, asked: Sequence[Query]) -> Floats:
        """Estimated tokens of the answers, [n]."""
        if self.model is None:
            return input_tokens(asked)
        return self.model[0].predict(self.inputs(asked)).astype(np.float32)

    def lengths(self, asked: Sequence[Query]) -> Lengths:
        """The distributions that follow such estimates; without a forest all mass at them."""
        scores, most = self.scores(asked), limits(asked)
        if self.model is None:
            return points(np.maximum(scores, 1.0), most)
        return Lengths.of(self.bins, self.model[1].probabilities(scores), most)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The backbone's name; trees, curve and projections."""
        settings = {"backbone": self.inputs.backbone, "forest": self.model is not None}
        if self.model is None:
            return settings, {}
        forest, curve = self.model
        return settings, forest.arrays() | curve.arrays() | self.inputs.arrays()

    @classmethod
    def restore(cls, bins: Bins, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The predictor that ``state`` described; its backbone is loaded when first asked."""
        inputs = Inputs.restore(settings["backbone"], arrays)
        if not settings["forest"]:
            return cls(bins, inputs, None)
        forest, curve = Forest.restore(arrays), Curve.restore(arrays, len(bins))
        width = 1 + sum(matrix.shape[1] for matrix in inputs.projections.values())
        if forest.feature.max() >= width:
            raise ValueError(f"the forest reads more than its {width} inputs")
        return cls(bins, inputs, (forest, curve))


def mispredicted(
    said: NDArray[np.floating], tokens: NDArray[np.integer], off: float = 10, share: float = 0.1
) -> NDArray[np.bool_]:
    """[n] which answers were missed by more than 10 tokens and 10 % of their length (Magnus)."""
    error = np.abs(said - tokens)
    wrong: NDArray[np.bool_] = (error > off) & (error > share * tokens)
    return wrong


def relearn(
    predictor: Magnus, known: Answers, finished: Answers, how: Fitting
) -> tuple[Magnus, Answers]:
    """Magnus's continuous learning: adds mispredicted finished requests and fits again.

    Returns the forest grown again and what it learned from; both as they were if nothing
    was missed. The paper does so every 180 s.
    """
    wrong = mispredicted(predictor.scores(finished.asked), finished.tokens)
    if not wrong.any():
        return predictor, known
    more = finished.some(wrong)
    grown = replace(known, asked=known.asked + more.asked, rows=known.rows + more.rows)
    return type(predictor).fit(grown, finished, predictor.bins, how), grown
