"""The probe along whole answers: features, probabilities and refinement of every position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from lengthwise.core.bins import Floats
from lengthwise.core.refine import Refiner
from lengthwise.predictors.probe import Probe

if TYPE_CHECKING:
    from lengthwise.answers.arrays import Positions

_PIECE = 4096
"""Rows whose inputs are made at once."""


def features(probe: Probe, data: Positions, number: int) -> torch.Tensor:
    """The probe's inputs at collected layer number ``number``: [rows, size]."""
    found = torch.empty(len(data.age), len(probe.shift))
    # By pieces: states are half as large, and only the result needs to be whole in memory.
    for start in range(0, len(found), _PIECE):
        rows = slice(start, start + _PIECE)
        found[rows] = probe.features(
            torch.from_numpy(data.current[rows, number]).float(),
            torch.from_numpy(data.mean[rows, number]).float(),
            torch.from_numpy(data.first[rows, number]).float(),
            torch.from_numpy(data.age[rows]),
            torch.from_numpy(data.prompt[rows]),
        )
    return found


def probabilities(probe: Probe, data: Positions, number: int) -> Floats:
    """The probe's bins at each position alone, [rows, k]; ``number`` is its layer's."""
    probe.eval()
    with torch.inference_mode():
        raw: Floats = probe(features(probe, data, number)).softmax(dim=1).numpy()
    return raw


def refine_positions(refiner: Refiner, data: Positions, raw: Floats) -> Floats:
    """Refinement over the sampled positions, which are several tokens apart: [rows, k].

    All requests advance together, position by position.
    """
    refined = raw.copy()
    starts = np.flatnonzero(np.r_[True, np.diff(data.request) != 0])
    lengths = np.diff(np.r_[starts, len(data.request)])
    for step in range(1, int(lengths.max())):
        at = starts[lengths > step] + step
        for gap in np.unique(data.age[at] - data.age[at - 1]):
            rows = at[data.age[at] - data.age[at - 1] == gap]
            prior = refiner.shift(refined[rows - 1], int(gap))
            refined[rows] = refiner.update(prior, raw[rows], int(gap))
    return refined
