"""Seats, queue and memory of a simulated engine while it serves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.arrays import Floats
from lengthwise.sim.engine import Simulator
from lengthwise.sim.setup import Setup


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

    def __init__(self, simulator: Simulator, setup: Setup) -> None:
        self._engine = simulator.engine
        self._setup = setup
        self._rows: list[tuple[float, int, int, int, bool]] = []

    def __call__(self) -> bool:
        engine = self._engine
        waiting = len(engine.waiting)
        short = False
        if waiting:
            needed = -(-engine.waiting.peek().prompt // self._setup.block_size)
            short = needed + self._setup.reserve > engine.free
        self._rows.append((engine.clock.now, waiting, len(engine.running), engine.free, short))
        return False

    def watched(self) -> Watched:
        """What was noted."""
        rows = np.array(self._rows, dtype=np.float64).reshape(-1, 5)
        used = self._setup.blocks - rows[:, 3]
        time, waiting, running, short = (rows[:, i] for i in (0, 1, 2, 4))
        return Watched(time, waiting, running, used, short, self._setup.seats, self._setup.blocks)
