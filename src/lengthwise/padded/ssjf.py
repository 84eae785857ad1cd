"""SSJF's dynamic batching: fixed batches of those predicted shortest (arXiv 2404.08509)."""

from __future__ import annotations

from typing import ClassVar

from lengthwise.core.policy import Source
from lengthwise.padded.fixed import Fixed
from lengthwise.policies import ssjf


class SSJF(Fixed):
    """Vanilla fixed batches, shortest predicted first, less ``ageing`` for each second waited.

    Nothing else differs from ``vanilla``: size, memory, and no waiting for partial batches.

    Args:
        name: what the command line calls it.
        size: requests in a batch.
        ageing: tokens that a request gets ahead by for each second it waits.
    """

    source: ClassVar[Source] = "prompt"

    def __init__(self, name: str, size: int, ageing: float) -> None:
        super().__init__(name, size, policy=ssjf.SSJF(ageing))
