"""SCLS over continuous batching: every request is served in slices, without prediction."""

from __future__ import annotations

from lengthwise.core.policy import Policy, Source
from lengthwise.core.request import Request

_ROUND = 1e9
"""Difference between two rounds' ranks: more tokens than any context has."""


class SCLS(Policy):
    """Slices of equal length in rounds: least served first, then the shortest context.

    A round serves every request one slice, in the order of context length, as SCLS sorts its
    pool (arXiv 2406.13511). A request with fewer slices so far belongs to an earlier round.

    Args:
        most: SCLS's S in tokens.

    Raises:
        ValueError: if it is below 1.
    """

    name = "scls"
    source: Source = "none"
    preemptive = False

    def __init__(self, most: int = 128) -> None:
        if most < 1:
            raise ValueError("a slice has at least 1 token")
        self.slice = most

    def rank(self, request: Request) -> float:
        served = -(-request.generated // self.slice)
        return served * _ROUND + request.prompt_tokens + request.generated
