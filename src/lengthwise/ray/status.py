"""What a replica tells its routers, once a second or so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from lengthwise.routing import Report


class Status(msgspec.Struct, frozen=True):
    """One replica, as it was at a moment; it travels in plain form.

    Attributes:
        at: seconds since 1970.
        address: of its HTTP server, as ``http://host:port``.
        held: generated tokens of each request that it holds, by the id that a router gave it.
        left: tokens that each is expected to need still, where its engine predicts them.
        pace: seconds between two steps of its engine; None if it was idle.
        seats: most requests in a step; 0 if the engine did not answer.
        memory: tokens of its KV cache; 0 likewise.
    """

    at: float
    address: str
    held: dict[str, int] = {}
    left: dict[str, float] = {}
    pace: float | None = None
    seats: int = 0
    memory: int = 0

    @property
    def report(self) -> Report:
        """The part that corrects what a router believes."""
        return Report(self.at, self.held, self.left, math.nan if self.pace is None else self.pace)


def status_of(stats: Mapping[str, Any] | None) -> Status | None:
    """What a replica reported through Ray Serve; None before its first report, or of another's."""
    if not stats or "address" not in stats:
        return None
    return msgspec.convert(stats, Status)
