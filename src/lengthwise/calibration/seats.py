"""What may have been short when requests waited: nothing, seats, or KV memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.calibration.occupancy import Levels, seated_at
from lengthwise.calibration.timeline import Timeline
from lengthwise.core.arrays import Floats

RARELY = 0.01
"""Where requests wait in a smaller share of the time than this, nothing tells of a limit."""

_USUAL = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024)

_NEARLY_ALL = 0.98


@dataclass(frozen=True)
class Limits:
    """An engine's limits, as far as they were ever reached.

    Attributes:
        seats: most requests in a step; None if they were never short.
        kv_tokens: tokens of KV memory; None likewise.
        most: most requests that ever decoded at once.
    """

    seats: int | None
    kv_tokens: int | None
    most: int

    def __str__(self) -> str:
        if self.seats is not None:
            return f"requests waited while {self.seats} ran, never more: that many seats"
        never = f"seats were never short ({self.most} ran at once at most): how many is not known"
        if self.kv_tokens is None:
            return never
        return f"requests waited for KV memory, some {self.kv_tokens} tokens; {never}"

    @property
    def guess(self) -> str:
        """The same where first tokens are not known, so that other limits explain as much."""
        if self.seats is None:
            return f"seats seem never to have been short (at most {self.most} requests at once)"
        return f"a guess: {self.seats} seats explain the latencies best; give --seats if you know"


def possible(levels: Levels, seats: int | None, kv_tokens: int | None) -> list[Limits]:
    """Limits that would explain a log, the simplest first; those that are given are certain.

    While two requests or more waited (one is mostly being computed), either seats were
    short, or about as much memory was in use as ever.
    """
    waiting = levels.waiting >= 2
    most = int(levels.decoding.max(initial=0))
    found = [Limits(seats, kv_tokens, most)]
    if levels.share(waiting) < RARELY or most == 0:
        return found
    if seats is None:
        found += [Limits(most, kv_tokens, most)]
    if kv_tokens is None:
        tokens, seconds = levels.tokens[waiting], levels.seconds[waiting]
        held = _quantiles(tokens, seconds, np.array([0.75, 0.9, 0.97, 1.0]))
        found += [Limits(seats, int(each), most) for each in held]
    return found


def guesses(timeline: Timeline, seats: int | None, kv_tokens: int | None) -> list[Limits]:
    """Limits that would explain a log without first tokens: none, or the usual numbers of seats."""
    came, left = np.sort(timeline.arrival), np.sort(timeline.finish)
    most = int((np.arange(1, len(came) + 1) - np.searchsorted(left, came, "right")).max())
    found = [Limits(seats, kv_tokens, most)]
    if seats is None:
        fitting = [each for each in _USUAL if each < most and _fits(timeline, each)]
        found += [Limits(each, kv_tokens, most) for each in fitting]
    return found


def _fits(timeline: Timeline, seats: int) -> bool:
    """Whether nearly all requests have a seat before they end."""
    seated = seated_at(timeline.arrival, timeline.finish, seats)
    return float((seated < timeline.finish).mean()) > _NEARLY_ALL


def _quantiles(values: Floats, seconds: Floats, shares: Floats) -> Floats:
    """Values below which a value is in these shares of the time."""
    order = np.argsort(values)
    passed = np.cumsum(seconds[order])
    rows = np.searchsorted(passed, shares * passed[-1])
    found: Floats = values[order][np.minimum(rows, len(values) - 1)]
    return found
