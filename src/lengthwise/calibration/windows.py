"""What a server said of itself every few seconds, and the steps that explain it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.calibration.calibration import Calibration
from lengthwise.calibration.fitting import FEWEST, Sums, fit_most, interval
from lengthwise.core.arrays import Floats
from lengthwise.errors import UserError
from lengthwise.workload.workload import Seconds

FULL_KV = 0.95
_STEADY = 1.5
_UNSURE = 0.05


@dataclass(frozen=True, eq=False)
class Windows:
    """n windows of time, each as an engine described it at its end.

    Attributes:
        time: [n] seconds at the end of each, from the end of the first on.
        seconds: [n] how long each was.
        running, waiting: [n] requests at its end.
        kv_usage: [n] share of the KV cache in use at its end, from 0 to 1.
        prompt_tps, generation_tps: [n] prompt tokens computed and tokens generated a second.
        starts: [n] requests running at its beginning; NaN where not known.
        steps: [n] steps in it; NaN where not known.
    """

    time: Seconds
    seconds: Seconds
    running: Floats
    waiting: Floats
    kv_usage: Floats
    prompt_tps: Floats
    generation_tps: Floats
    starts: Floats
    steps: Floats

    def __len__(self) -> int:
        return len(self.time)

    @property
    def queued(self) -> float:
        """Share of the windows at whose end requests waited."""
        return _share(self.waiting > 0)

    def full(self, seats: int) -> float:
        """Share of the windows at whose end all seats were taken."""
        return _share(self.running >= seats)

    @property
    def kv_full(self) -> float:
        """Share of the windows at whose end 95 % or more of the KV cache were in use."""
        return _share(self.kv_usage >= FULL_KV)

    def seats(self) -> int | None:
        """The seats, if requests waited in five windows and the same number ran in most."""
        running = self.running[(self.waiting > 0) & (self.kv_usage < FULL_KV)]
        if len(running) < 5 or np.median(running) < running.max():
            return None
        return int(running.max())

    def sums(self, kv_tokens: int | None) -> Sums:
        """What the steps in the windows held.

        Where steps are not counted, with R running and Y tokens/s a step takes R/Y seconds.

        Windows with few changes in R are taken, if there are enough of them. The context is
        left out where the size of the KV cache is not known.
        """
        ends = np.where(np.isnan(self.starts), self.running, self.starts)
        running = (self.running + ends) / 2
        busy = (running > 0) & (self.generation_tps > 0)
        low, high = np.minimum(self.running, ends), np.maximum(self.running, ends)
        steady = busy & (low >= 1) & (high <= _STEADY * low)
        rows = steady if steady.sum() >= FEWEST else busy
        seconds, running = self.seconds[rows], running[rows]
        decodes = self.generation_tps[rows] * seconds
        counted = self.steps[rows]
        steps = np.where(counted > 0, counted, decodes / running)
        context = self.kv_usage[rows] * float(kv_tokens or 0) * steps
        return Sums(seconds, steps, self.prompt_tps[rows] * seconds, decodes, context)

    def calibration(
        self,
        source: str,
        seats: int | None = None,
        budget: int | None = None,
        kv_tokens: int | None = None,
        block_size: int | None = None,
    ) -> Calibration:
        """Seconds of a step by least squares over the windows.

        Raises:
            UserError: if there are too few windows in which requests ran.
        """
        sums = self.sums(kv_tokens)
        if len(sums) < FEWEST:
            raise UserError(
                f"{source}: requests ran in {len(sums)} windows, at least {FEWEST} are needed: "
                "give a longer stretch"
            )
        time = fit_most(sums, "windows", source)
        # Relative errors favour the fast windows: all seconds together must come out right.
        time = time.scaled(float(sums.seconds.sum() / sums.predicted(time).sum()))
        fastest, slowest = interval(sums, time)
        notes = [
            f"{len(sums)} windows of {float(np.median(sums.seconds)):.3g} s; how many requests "
            "ran within them is known at their ends only"
        ]
        if seats is None:
            seats = self.seats()
            if seats is not None:
                notes.append(f"requests waited while {seats} ran, never more: that many seats")
        return Calibration(
            time,
            source,
            time.error,
            "the seconds of a window",
            min(fastest, 1.0 - _UNSURE),
            max(slowest, 1.0 + _UNSURE),
            seats,
            budget,
            kv_tokens,
            block_size,
            tuple(notes),
        )


def _share(flags: np.ndarray) -> float:
    return float(flags.mean()) if len(flags) else 0.0
