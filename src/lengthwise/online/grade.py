"""Whether a new version is better than the one in use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lengthwise.core.bins import Floats
from lengthwise.online.messages import Finished
from lengthwise.online.scorer import Scorer
from lengthwise.predictors.accuracy import tau

_BATCH = 8
"""Requests judged at once; in between, arriving requests are scored."""

_SURE = 1.0
"""Standard errors by which a gain must exceed 0: of equals, one in six does by chance.

Two would refuse most versions that are 10 % better on 50 requests, to avoid a harmless swap.
"""


@dataclass(frozen=True)
class Grade:
    """How a version did on requests it did not learn from.

    Attributes:
        errors: [n] absolute errors of total output tokens as served: cut where max_tokens
            cuts; NaN where the predictor failed.
        tau: Kendall's τ-b of prediction and length; 0 if all are predicted alike, or not all.
    """

    errors: Floats
    tau: float

    @property
    def failed(self) -> bool:
        """Whether some predictions are missing."""
        return bool(np.isnan(self.errors).any())

    @property
    def mae(self) -> float:
        """Mean absolute error in tokens."""
        return float(self.errors.mean())

    def __str__(self) -> str:
        return f"MAE {self.mae:.1f}, τ {self.tau:.3f}"


def grade(scorer: Scorer, outcomes: Sequence[Finished]) -> Grade:
    """Grade on finished requests."""
    asked = [each.asked for each in outcomes]
    batches = (asked[i : i + _BATCH] for i in range(0, len(asked), _BATCH))
    predicted = np.array([each for batch in batches for each in scorer.tokens(batch)])
    tokens = np.array([each.tokens for each in outcomes])
    errors = np.abs(predicted - tokens).astype(np.float32)
    if np.isnan(errors).any():
        return Grade(errors, 0.0)
    order = tau(predicted, tokens)
    return Grade(errors, 0.0 if math.isnan(order) else order)


def better(new: Grade, old: Grade, margin: float) -> bool:
    """Whether a version replaces another, judged on the same requests.

    Its MAE must be smaller by the share ``margin``, and by a standard error of the
    paired difference; its τ no lower than by half the margin. Whatever fails is replaced by
    what does not, and never the other way round.
    """
    if new.failed or old.failed:
        return old.failed and not new.failed
    gains = old.errors - new.errors
    doubt = _SURE * float(gains.std(ddof=1)) / np.sqrt(len(gains))
    smaller = float(gains.mean()) >= max(margin * old.mae, doubt)
    return bool(smaller and new.mae < old.mae and new.tau >= old.tau - margin / 2)
