"""Output length from the application alone: the lengths of its earlier answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.bins import Bins, Floats
from lengthwise.core.lengths import Lengths
from lengthwise.core.query import Query, limits
from lengthwise.predictors.base import Arrays, Fitting, PromptPredictor, Reads
from lengthwise.predictors.histogram import histogram, shares

if TYPE_CHECKING:
    from lengthwise.answers.arrays import Answers

PULLS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Candidates: answers at which a template weighs as much as the overall histogram."""


class History(PromptPredictor):
    """A histogram for each template, shrunk towards the overall one.

    Few answers are little evidence, so a template's histogram starts as the overall one and
    becomes its own as answers come. An unknown template has the overall one.

    Args:
        bins: [k] of total output tokens.
        overall: [k] shares of all answers.
        templates: t names.
        shares: [t, k] of each template's answers, shrunk.
    """

    name: ClassVar[str] = "history"
    reads: ClassVar[Reads] = "ids"

    def __init__(
        self, bins: Bins, overall: Floats, templates: Sequence[str], shares: Floats
    ) -> None:
        self.bins, self.overall, self.templates, self.shares = bins, overall, templates, shares
        self._shares = dict(zip(templates, shares, strict=True))

    @classmethod
    def fit(cls, fit: Answers, tune: Answers, bins: Bins, how: Fitting) -> Self:
        """Histograms, shrunk as makes the answers of ``tune`` likeliest."""
        names, member = np.unique([each.template for each in fit.asked], return_inverse=True)
        counts = np.stack([histogram(bins, fit.tokens[member == i]) for i in range(len(names))])
        overall = shares(counts.sum(axis=0))
        templates = [str(name) for name in names]
        candidates = [
            cls(bins, overall, templates, shares(counts, pull, overall)) for pull in PULLS
        ]
        found = bins.index(tune.tokens)
        return max(candidates, key=lambda one: one._likelihood(tune.asked, found))

    def lengths(self, asked: Sequence[Query]) -> Lengths:
        """The histogram of each request's template, [n]."""
        return Lengths.of(self.bins, self._rows(asked), limits(asked))

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The templates' names and the histograms."""
        return {"templates": list(self.templates)}, {
            "overall": self.overall,
            "shares": self.shares,
        }

    @classmethod
    def restore(cls, bins: Bins, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The predictor that ``state`` described."""
        templates = list(settings["templates"])
        overall, shares = (arrays[name].astype(np.float32) for name in ("overall", "shares"))
        if overall.shape != (len(bins),) or shares.shape != (len(templates), len(bins)):
            raise ValueError(f"{len(templates)} templates need histograms over {len(bins)} bins")
        return cls(bins, overall, templates, shares)

    def _rows(self, asked: Sequence[Query]) -> Floats:
        rows = [self._shares.get(each.template, self.overall) for each in asked]
        return np.array(rows, dtype=np.float32).reshape(-1, len(self.bins))

    def _likelihood(self, asked: Sequence[Query], found: NDArray[np.int64]) -> float:
        return float(np.log(self._rows(asked)[np.arange(len(found)), found]).sum())
