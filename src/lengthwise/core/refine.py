"""Bayesian refinement of remaining-length predictions, token by token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lengthwise.core.bins import Bins, Floats


class Refiner:
    """Combines each new prediction with the earlier ones (TRAIL, appendix A).

    The prior moves down with every generated token: a share 1/w_i of bin i's mass goes
    to the bin below, w_i its width in tokens; the lowest bin keeps its own. The new
    prediction then multiplies it. Corrections of the paper's rule are settings: a
    classifier's output already contains the class prior, which would count again at
    every step (``prior`` divides it out); and neighbouring tokens predict nearly the same
    (``alpha`` below 1 tempers them, or ``keep`` averages instead of multiplying).

    Args:
        bins: the k bins of remaining tokens.
        alpha: power of the new evidence in (0, 1]; 1 is the paper's.
        prior: class frequencies [k] to divide by, or None (the paper's).
        keep: if given, the posterior is the weighted geometric mean of belief and
            evidence, and the belief keeps this weight for each token in between: 100
            similar predictions then count once. 0 takes the newest alone.
    """

    def __init__(
        self,
        bins: Bins,
        alpha: float = 1.0,
        prior: Sequence[float] | None = None,
        keep: float | None = None,
    ) -> None:
        self.bins = bins
        self.alpha = alpha
        self.prior = None if prior is None else np.array(prior, dtype=np.float32)
        self.keep = keep
        rate = np.minimum(1.0 / bins.widths, 1.0)
        rate[0] = 0.0
        move = np.diag(1.0 - rate)
        move[np.arange(1, len(bins)), np.arange(len(bins) - 1)] = rate[1:]
        self._moves: dict[int, Floats] = {0: np.eye(len(bins), dtype=np.float32)}
        self._move = move.astype(np.float32)

    def shift(self, belief: Floats, tokens: int) -> Floats:
        """Beliefs after ``tokens`` more tokens were generated: [n, k] -> [n, k]."""
        if tokens not in self._moves:
            power = np.linalg.matrix_power(self._move.astype(np.float64), tokens)
            self._moves[tokens] = power.astype(np.float32)
        shifted: Floats = belief @ self._moves[tokens]
        return shifted

    def update(self, prior_belief: Floats, evidence: Floats, tokens: int = 1) -> Floats:
        """Posterior of shifted beliefs and new probabilities: [n, k] x [n, k] -> [n, k].

        ``tokens`` were generated since the belief was formed. Rows whose product
        vanishes (belief and evidence exclude each other) take the evidence alone.
        """
        likelihood = evidence if self.prior is None else evidence / self.prior
        old, new = 1.0, self.alpha
        if self.keep is not None:
            old = self.keep**tokens
            new = 1.0 - old
        product = prior_belief**old * likelihood**new
        total = product.sum(axis=1, keepdims=True)
        usable = np.isfinite(total) & (total > 1e-20)
        return np.where(usable, product / np.where(usable, total, 1.0), evidence).astype(np.float32)
