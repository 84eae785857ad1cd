"""How a probe is trained: the options, with the ablations as variants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lengthwise.core.bins import Bins
from lengthwise.errors import UserError
from lengthwise.predictors.base import Fitting
from lengthwise.predictors.probe import Head, Inputs

Refinement = Literal["tuned", "none", "paper", "prior", "temper", "kept"]


@dataclass(frozen=True)
class Options:
    """How to train a probe.

    Attributes:
        epochs, batch, rate: of AdamW with a cosine rate; the paper has 30, 32 and 0.01.
        bins, k: ``log``, or the paper's ``equal`` (10).
        inputs, head: of the probe.
        layer: the only one to try; None tries all that were collected.
        likelihood: weight of the likelihood (cross-entropy) beside the error of the mean,
            which is what schedules; the likelihood keeps the bins calibrated. The paper
            has it alone: infinity.
        noise: standard deviation of the noise on normalised states: neighbouring rows are
            alike, and would be learned by heart.
        dropout: of the hidden layer.
        censoring: whether an answer cut at the cap counts as at least that long.
        refinement: how refinement is chosen.
        prefill: weight of the row at the prompt's end.
        draws: rows that an epoch draws, each by the root of the tokens that it stands for. None
            is each row once.
    """

    epochs: int = 16
    batch: int = 256
    rate: float = 5e-4
    bins: str = "log"
    k: int = 20
    inputs: Inputs = "full"
    head: Head = "softmax"
    layer: int | None = None
    likelihood: float = 0.2
    noise: float = 0.6
    dropout: float = 0.5
    censoring: bool = True
    refinement: Refinement = "tuned"
    prefill: int = 1
    draws: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.k < 2:
            raise UserError("training needs at least 1 epoch and 2 bins")


OURS = Options()

PAPER = Options(
    epochs=30,
    batch=32,
    rate=0.01,
    bins="equal",
    k=10,
    inputs="paper",
    likelihood=np.inf,
    noise=0.0,
    dropout=0.0,
    censoring=False,
    refinement="paper",
)
"""TRAIL as the paper has it, but that the best epoch is kept: on few prompts the last is worse."""

SAMPLED = Options(draws=20_000, refinement="kept")
"""For positions that are the farther apart the later they are, as serving keeps them.

Drawn by the tokens that they stand for, few late rows of long answers would drown the starts.
With half the draws the probe of a thousand answers errs by 7 % more; with twice as many epochs,
by 2 % less. Refinement tuned on positions that far apart does harm from token to token.
"""

VARIANTS: dict[str, Options] = {
    "": OURS,
    "paper": PAPER,
    "equal-bins": replace(OURS, bins="equal"),
    "10-bins": replace(OURS, k=10),
    "no-outlook": replace(OURS, inputs="paper"),
    "likelihood-only": replace(OURS, likelihood=np.inf),
    "no-noise": replace(OURS, noise=0.0),
    "no-censoring": replace(OURS, censoring=False),
    "unrefined": replace(OURS, refinement="none"),
    "paper-refinement": replace(OURS, refinement="paper"),
    "prior": replace(OURS, refinement="prior"),
    "temper": replace(OURS, refinement="temper"),
    "prefill": replace(OURS, prefill=8),
    "hazard": replace(OURS, head="hazard"),
}


def options_of(how: Fitting) -> Options:
    """The variant's options."""
    options = replace(VARIANTS[how.variant], seed=how.seed)
    return options if how.epochs is None else replace(options, epochs=how.epochs)


def bins_of(options: Options, cap: float) -> Bins:
    """TRAIL's bins as they are; ours know that answers cut at the cap would go on."""
    if options.bins == "equal":
        return Bins.equal(options.k, cap)
    return Bins.log(options.k, cap).with_overflow()
