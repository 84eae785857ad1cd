"""SRPT with true lengths: the bound on what any prediction can win."""

from __future__ import annotations

from lengthwise.core.policy import Source
from lengthwise.policies.sprpt import SPRPT


class Oracle(SPRPT):
    """SPRPT whose predictions come from the oracle predictor, and from nowhere else."""

    name = "oracle"
    source: Source = "oracle"
