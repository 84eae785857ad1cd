"""TRAIL's predictor: the probe, refined token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch

from lengthwise.core.bins import Bins
from lengthwise.core.lengths import Lengths
from lengthwise.predictors.along import probabilities, refine_positions
from lengthwise.predictors.base import Arrays, Fitting, LengthPredictor, Reads
from lengthwise.predictors.probe import Probe
from lengthwise.predictors.trail_options import VARIANTS, options_of

if TYPE_CHECKING:
    from lengthwise.answers.arrays import Answers


class Trail(LengthPredictor):
    """Hidden states → probe → bins of remaining tokens → Bayesian refinement.

    It predicts first right after the prefill (arXiv 2410.01035). Variants are the
    ablations: each changes one thing of ours, except ``paper``, which is the paper's own.

    Args:
        probe: trained on one of the collected layers.
        layer_errors: of each layer that was tried, the error in tokens on the prompts that
            it was chosen by.
    """

    name: ClassVar[str] = "trail"
    reads: ClassVar[Reads] = "states"
    variants: ClassVar[tuple[str, ...]] = tuple(VARIANTS)

    def __init__(self, probe: Probe, layer_errors: dict[int, float] | None = None) -> None:
        self.probe, self.bins = probe, probe.bins
        self.layer_errors = layer_errors or {}

    @classmethod
    def fit(cls, fit: Answers, tune: Answers, bins: Bins, how: Fitting) -> Self:
        """The best layer's probe. The variant chooses the bins, which ``bins`` does not."""
        from lengthwise.predictors.trail_fit import fit_probe

        return cls(*fit_probe(fit, tune, options_of(how)))

    def first(self, answers: Answers) -> Lengths:
        """After the prefill: the probe at the prompt's end."""
        return self.both(answers)[0]

    def both(self, answers: Answers) -> tuple[Lengths, Lengths]:
        """The refined probe at each position, and at the prompts' ends."""
        at = answers.positions
        raw = probabilities(self.probe, at, answers.layers.index(self.probe.layer))
        refined = refine_positions(self.probe.refiner(), at, raw)
        remaining = Lengths.of(self.bins, refined, at.limit)
        return remaining.rows(np.flatnonzero(at.age == 0)), remaining

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The probe's arguments and weights; large matrices are rounded."""
        probe = self.probe
        names = ("layer", "width", "inputs", "hidden", "refinement", "head")
        settings = {name: getattr(probe, name) for name in names}
        arrays = {
            # Matrices may be rounded; the vectors that normalise large states may not.
            name: (value.half() if value.ndim > 1 else value).numpy()
            for name, value in probe.state_dict().items()
        }
        return settings, arrays

    @classmethod
    def restore(cls, bins: Bins, settings: dict[str, Any], arrays: Arrays) -> Self:
        """The predictor that ``state`` described."""
        try:
            probe = Probe(bins=bins, **settings)
            probe.load_state_dict(
                {name: torch.from_numpy(value).float() for name, value in arrays.items()}
            )
        except (TypeError, RuntimeError) as error:
            raise ValueError(error) from None
        return cls(probe.eval())
