"""Seconds of a step by least squares, from windows that hold many steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.arrays import Floats
from lengthwise.errors import UserError
from lengthwise.sim.steps import Linear

FEWEST = 20
"""Windows below which nothing is fitted."""

_PULL = 0.005
"""Least share of a window's seconds that decodes or context must explain to be believed."""

_BLOCKS = 20
_RESAMPLES = 1_000

_NOTHING = 1e-3
"""Tokens of an average step that are none."""

_LEAST_S = 1e-9
_ROUNDS = 3
_FAR = 5.0
_NEAR = 0.05
"""Windows are far outside if they are off by more than 5 times the median, and by 5 %."""


@dataclass(frozen=True, eq=False)
class Sums:
    """n windows of time, and what the steps within each of them add up to.

    Attributes:
        seconds: [n] how long they were.
        steps: [n] steps in them.
        prefill, decodes, context: [n] prompt tokens computed, tokens decoded, and tokens in
            the KV caches, all summed over the steps.
    """

    seconds: Floats
    steps: Floats
    prefill: Floats
    decodes: Floats
    context: Floats

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def columns(self) -> Floats:
        """[n, 4]: what base, prefill, decode and context of a ``Linear`` are multiplied by."""
        return np.column_stack([self.steps, self.prefill, self.decodes, self.context])

    def rows(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> Sums:
        """Some of the windows: [m] indices or [n] flags."""
        return Sums(
            self.seconds[index],
            self.steps[index],
            self.prefill[index],
            self.decodes[index],
            self.context[index],
        )

    def predicted(self, time: Linear) -> Floats:
        """[n] seconds that ``time`` gives the windows."""
        found: Floats = self.columns @ np.array(
            [time.base, time.prefill, time.decode, time.context]
        )
        return found


def fit(sums: Sums, name: str, source: str, pull: float = _PULL) -> Linear:
    """Non-negative least squares of the windows' relative errors; long windows count for more.

    Seats that are always full decode the same number of requests in each step, so that base
    and decode cannot be told apart. A pull then decides for the base: seconds explained by
    decodes or by context alone cost as much as relative errors of this size.

    Raises:
        UserError: if there are too few windows.
    """
    if len(sums) < FEWEST:
        raise UserError(f"{source}: {len(sums)} windows are too few to tell how long a step takes")
    from scipy.optimize import nnls

    weight = np.sqrt(sums.steps) / sums.seconds
    # Sums are differences of large ones: what is left of nothing is not fitted to.
    columns = np.where(sums.columns > _NOTHING * sums.steps[:, None], sums.columns, 0.0)
    weighted = columns * weight[:, None]
    # Columns of one length keep the least squares well conditioned.
    scale = np.sqrt((weighted**2).sum(axis=0))
    scale[scale == 0] = 1.0
    held = np.diag([0.0, 0.0, pull, pull])
    target = np.concatenate([weight * sums.seconds, np.zeros(4)])
    found, _ = nnls(np.vstack([weighted / scale, held]), target)
    base, prefill, decode, context = (float(each) for each in found / scale)
    time = Linear(name, source, base, prefill, decode, context)
    error = float(np.abs(sums.predicted(time) / sums.seconds - 1.0).mean())
    return Linear(name, source, base, prefill, decode, context, error)


def fit_most(sums: Sums, name: str, source: str, pull: float | None = None) -> Linear:
    """As :func:`fit`, again without the windows that the fit before leaves far outside.

    A request that was preempted, or an engine that stood still, says nothing of a step.

    Args:
        pull: as in ``fit``; left out, as much as the windows' errors, which could otherwise
            be taken for small parts of a step.

    Raises:
        UserError: if there are too few windows.
    """
    time = fit(sums, name, source)
    within = np.ones(len(sums), bool)
    for _ in range(_ROUNDS):
        off = np.log(sums.seconds / np.maximum(sums.predicted(time), _LEAST_S))
        off -= np.median(off)
        near = np.abs(off) <= max(_FAR * float(np.median(np.abs(off))), _NEAR)
        within = near if near.sum() >= FEWEST else within
        held = max(_PULL, time.error) if pull is None else pull
        time = fit(sums.rows(within), name, source, held)
    return time


def interval(sums: Sums, time: Linear) -> tuple[float, float]:
    """Factors of the seconds of a step between which the engine lies with 95 % confidence.

    Blocks of windows in a row are drawn again. A machine that is faster in some hours than in
    others, and what the fit does not know, both show as blocks that took longer or shorter
    than predicted.
    """
    edges = np.linspace(0, len(sums), min(_BLOCKS, len(sums)) + 1).astype(int)[:-1]
    real = np.add.reduceat(sums.seconds, edges)
    ours = np.add.reduceat(sums.predicted(time), edges)
    drawn = np.random.default_rng(0).integers(len(edges), size=(_RESAMPLES, len(edges)))
    factors = real[drawn].sum(axis=1) / ours[drawn].sum(axis=1)
    low, high = np.quantile(factors / (real.sum() / ours.sum()), [0.025, 0.975])
    return float(min(low, 1.0)), float(max(high, 1.0))
