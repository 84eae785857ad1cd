"""Bins over output length, and the mean of a distribution over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Bins:
    """k half-open bins ``[edges[i], edges[i+1])`` of tokens; the last takes the rest.

    Attributes:
        edges: k + 1 increasing bounds in tokens.
        values: k representative lengths in tokens (TRAIL: the midpoints).
    """

    edges: Floats
    values: Floats

    @classmethod
    def equal(cls, k: int, top: float) -> Bins:
        """The paper's: k bins of equal width on [0, top] (arXiv 2410.01035, section 3.2)."""
        return cls.of(np.linspace(0.0, top, k + 1))

    @classmethod
    def log(cls, k: int, top: float, knee: float = 16.0) -> Bins:
        """k bins on [0, top], each wider than the one before by the same factor.

        Far above ``knee`` tokens they are spaced like logarithms, below it nearly evenly.
        """
        return cls.of(knee * np.expm1(np.linspace(0.0, np.log1p(top / knee), k + 1)))

    def with_overflow(self) -> Bins:
        """One more bin for all longer answers; its value is the last bound."""
        top = self.edges[-1]
        return Bins(np.append(self.edges, 2 * top), np.append(self.values, top))

    @classmethod
    def of(cls, edges: NDArray[np.floating]) -> Bins:
        """Bins with these bounds and their midpoints as values.

        Raises:
            ValueError: if the bounds do not increase.
        """
        bounds = np.asarray(edges, dtype=np.float32)
        if bounds.ndim != 1 or len(bounds) < 2 or not (np.diff(bounds) > 0).all():
            raise ValueError("bin edges must be at least two increasing numbers")
        middles: Floats = ((bounds[:-1] + bounds[1:]) / 2).astype(np.float32)
        return cls(bounds, middles)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def widths(self) -> Floats:
        """Width of each bin in tokens, shape [k]."""
        return np.diff(self.edges)

    def index(self, tokens: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.int64]:
        """The bin of each length in tokens, same shape; lengths outside go to the nearest bin."""
        found = np.searchsorted(self.edges, tokens, side="right") - 1
        return np.clip(found, 0, len(self) - 1)

    def mean(self, probabilities: Floats, limit: NDArray[np.floating] | None = None) -> Floats:
        """Expected tokens under each row of probabilities: [n, k] -> [n].

        ``limit`` [n] is the most tokens a request can still produce (its max_tokens less
        what it has generated): longer answers count as ending there.
        """
        if limit is None:
            means: Floats = probabilities @ self.values
            return means
        cut = np.minimum(self.values, np.asarray(limit, dtype=np.float32)[:, None])
        limited: Floats = np.einsum("nk,nk->n", probabilities, cut)
        return limited
