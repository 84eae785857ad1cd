"""Seats, queue and memory of a simulated engine while it serves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.arrays import Floats
from lengthwise.sim.engine import Simulator


@dataclass(frozen=True, eq=False)
class Watched:
    """m moments, at the beginning of steps.

    Attributes:
        time: [m] seconds, not decreasing.
        waiting, running: [m] requests without and with a seat.
        used: [m] blocks of KV memory in use.
        short: [m] whether the first of the waiting had no room in memory.
        seats, blocks: how many there are.
    """

    time: Floats
    waiting: Floats
    running: Floats
    used: Floats
    short: Floats
    seats: int
    blocks: int

    @property
    def waiting_share(self) -> float:
        """Share of the time in which requests waited for a seat, for memory or for a turn."""
        return self._share(self.waiting > 0)

    @property
    def seats_full_share(self) -> float:
        """Share of the time in which requests waited and every seat was taken."""
        return self._share((self.waiting > 0) & (self.running >= self.seats))

    @property
    def memory_full_share(self) -> float:
        """Share of the time in which a seat was free and the first in line had no memory."""
        return self._share((self.waiting > 0) & (self.running < self.seats) & (self.short > 0))

    @property
    def most_used(self) -> float:
        """Most blocks that were ever in use, as a share of all."""
        return float(self.used.max()) / self.blocks

    def _share(self, there: NDArray[np.bool_]) -> float:
        seconds = np.diff(self.time)
        total = float(seconds.sum())
        return float(seconds[there[:-1]].sum()) / total if total > 0 else 0.0


class Watch:
    """Notes an engine's state each time that steps begin; ``sim.run(watch)`` calls it."""

    def __init__(self, simulator: Simulator) -> None:
        self._engine = simulator.engine
        self._rows: list[tuple[float, int, int, int, bool]] = []

    def __call__(self) -> bool:
        engine = self._engine
        waiting = len(engine.waiting)
        short = False
        if waiting:
            needed = -(-engine.waiting.peek().prompt // engine.block_tokens)
            short = needed + engine.reserve > engine.free
        self._rows.append((engine.clock.now, waiting, len(engine.running), engine.free, short))
        return False

    def watched(self) -> Watched:
        """What was noted."""
        rows = np.array(self._rows, dtype=np.float64).reshape(-1, 5)
        engine = self._engine
        blocks = int(engine.kv_tokens / engine.block_tokens)
        time, waiting, running, free, short = rows.T
        return Watched(time, waiting, running, blocks - free, short, engine.seats, blocks)
