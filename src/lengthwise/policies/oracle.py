"""SRPT with true lengths: the bound on what any prediction can win."""

from __future__ import annotations

from lengthwise.core.policy import Source
from lengthwise.policies.sprpt import SPRPT


class Oracle(SPRPT):
    """SPRPT that takes its predictions from the oracle predictor only."""

    name = "oracle"
    source: Source = "oracle"
