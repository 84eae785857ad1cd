"""Time and steps in which the engine serves: they stand still while it is paused.

A pause (for new weights, sleep, or by an operator) is no wait that a policy could have shortened:
nobody starves in it.
"""

from __future__ import annotations

from typing import Any


class ServingClock:
    """Reads a scheduler's clock and count of steps, without those of its pauses."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._lost_s, self._lost_steps = 0.0, 0
        self._since: tuple[float, int] | None = None

    @property
    def now(self) -> float:
        """Seconds."""
        read = float(self._scheduler.clock()) if self._since is None else self._since[0]
        return read - self._lost_s

    @property
    def step(self) -> int:
        """Steps."""
        read = int(self._scheduler.current_step) if self._since is None else self._since[1]
        return read - self._lost_steps

    def stop(self) -> None:
        """The engine is paused."""
        if self._since is None:
            self._since = float(self._scheduler.clock()), int(self._scheduler.current_step)

    def go(self) -> None:
        """It serves again."""
        if self._since is not None:
            seconds, steps = self._since
            self._lost_s += float(self._scheduler.clock()) - seconds
            self._lost_steps += int(self._scheduler.current_step) - steps
            self._since = None
