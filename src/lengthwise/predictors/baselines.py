"""What any predictor has to beat: the histogram, the prompt's length, max_tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from lengthwise.core.bins import Bins, Floats
from lengthwise.core.lengths import Lengths
from lengthwise.core.query import Query, limits
from lengthwise.predictors.accuracy import tau
from lengthwise.predictors.base import Arrays, Fitting, PromptPredictor, Reads
from lengthwise.predictors.histogram import histogram, shares
from lengthwise.predictors.points import points
from lengthwise.predictors.scored import Curve, ScorePredictor

if TYPE_CHECKING:
    from lengthwise.answers.arrays import Answers


class Constant(PromptPredictor):
    """The histogram of training lengths for every request; by its median, the constant median.

    Args:
        bins: [k] of total output tokens.
        shares: [k] of the training answers in each bin.
    """

    name: ClassVar[str] = "constant"
    reads: ClassVar[Reads] = "nothing"
    tunes: ClassVar[bool] = False

    def __init__(self, bins: Bins, shares: Floats) -> None:
        self.bins, self.shares = bins, shares

    @classmethod
    def fit(cls, fit: Answers, tune: Answers, bins: Bins, how: Fitting) -> Self:
        """The histogram."""
        return cls(bins, shares(histogram(bins, fit.tokens)))

    def lengths(self, asked: Sequence[Query]) -> Lengths:
        """The histogram for each request, cut at its max_tokens."""
        everywhere = np.tile(self.shares, (len(asked), 1))
        return Lengths.of(self.bins, everywhere, limits(asked))

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The histogram."""
        return {}, {"shares": self.shares}

    @classmethod
    def restore(cls, bins: Bins, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The predictor that ``state`` described."""
        if arrays["shares"].shape != bins.values.shape:
            raise ValueError(f"a histogram over {len(bins)} bins needs as many shares")
        return cls(bins, arrays["shares"].astype(np.float32))


class PromptLength(ScorePredictor):
    """The prompt's tokens: a longer question gets a longer answer.

    Variant ``signed`` takes the direction, longer or shorter, from the training answers.

    Args:
        bins: [k] of total output tokens.
        curve: from scores to bins.
        sign: 1, or -1 if longer prompts get shorter answers.
    """

    name: ClassVar[str] = "prompt-length"
    reads: ClassVar[Reads] = "ids"
    variants: ClassVar[tuple[str, ...]] = ("", "signed")
    tunes: ClassVar[bool] = False

    def __init__(self, bins: Bins, curve: Curve, sign: int = 1) -> None:
        self.bins, self.curve, self.sign = bins, curve, sign

    @classmethod
    def fit(cls, fit: Answers, tune: Answers, bins: Bins, how: Fitting) -> Self:
        """The curve, and for ``signed`` the sign of Kendall's τ."""
        prompts = _prompt_tokens(fit.asked)
        falling = tau(prompts, fit.tokens) < 0
        sign = -1 if how.variant == "signed" and falling else 1
        curve = Curve.fit(sign * prompts, bins.index(fit.tokens), len(bins))
        return cls(bins, curve, sign)

    def scores(self, asked: Sequence[Query]) -> Floats:
        """Prompt tokens with the sign, [n]."""
        return self.sign * _prompt_tokens(asked)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The sign and the curve."""
        return {"sign": self.sign}, self.curve.arrays()

    @classmethod
    def restore(cls, bins: Bins, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The predictor that ``state`` described."""
        sign = settings["sign"]
        if sign not in (1, -1):
            raise ValueError(f"sign must be 1 or -1, not {sign!r}")
        return cls(bins, Curve.restore(arrays, len(bins)), sign)


class MaxTokens(PromptPredictor):
    """All mass at the client's max_tokens, which Ray Serve's router assumes."""

    name: ClassVar[str] = "max-tokens"
    reads: ClassVar[Reads] = "nothing"
    tunes: ClassVar[bool] = False

    def __init__(self, bins: Bins) -> None:
        self.bins = bins

    @classmethod
    def fit(cls, fit: Answers, tune: Answers, bins: Bins, how: Fitting) -> Self:
        """There is nothing to learn."""
        return cls(bins)

    def lengths(self, asked: Sequence[Query]) -> Lengths:
        """All mass at max_tokens, [n]."""
        most = limits(asked)
        return points(most, most)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Nothing."""
        return {}, {}

    @classmethod
    def restore(cls, bins: Bins, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The predictor of these bins."""
        return cls(bins)


def _prompt_tokens(asked: Sequence[Query]) -> Floats:
    return np.array([len(each.prompt_ids) for each in asked], dtype=np.float32)
