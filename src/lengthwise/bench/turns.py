"""Several runs on one machine at a time, a slice each in turn.

A shared machine drifts by a tenth and more within minutes, which would be read as the
policies' doing. So the runs of one comparison take turns of a second or two, and each
counts time on a clock of its own that stands still while another has the turn, and skips
what it would wait idly: all runs see the same weather.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence

SLICE_S = 1.5
"""Length of a turn: many steps, yet short against the machine's drift."""

_TAKE, _GIVE = "take\n", "give\n"


class Clock:
    """A run's own time in seconds; runs only while it has the turn.

    Args:
        turns: whether a parent process hands out turns (by :func:`take_turns`).
        clock: the machine's seconds.
    """

    def __init__(self, turns: bool, clock: Callable[[], float] = time.perf_counter) -> None:
        self._turns, self._clock = turns, clock
        self._behind = 0.0
        self._start = self._taken = self._clock()

    def start(self) -> None:
        """Wait for the first turn; time 0 is now."""
        if self._turns:
            print(_GIVE, end="", flush=True)
            sys.stdin.readline()
        self._start = self._taken = self._clock()

    def now(self) -> float:
        """Seconds of this run."""
        return self._clock() - self._start + self._behind

    def skip_to(self, moment: float) -> None:
        """Nothing is to be done before that moment: go there at once."""
        self._behind += max(moment - self.now(), 0.0)

    def pause(self) -> None:
        """Between two steps: if the slice is used up, let the others have theirs."""
        if not self._turns or self._clock() - self._taken < SLICE_S:
            return
        stopped = self._clock()
        print(_GIVE, end="", flush=True)
        sys.stdin.readline()
        self._taken = self._clock()
        self._behind -= self._taken - stopped


def take_turns(commands: Sequence[Sequence[str]]) -> list[int]:
    """Run processes whose work is timed by a :class:`Clock`, one at a time; exit statuses.

    All of them prepare themselves first, until each waits for its first turn.
    """
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for command in commands
    ]
    try:
        waiting = [process for process in processes if _gives(process)]
        while waiting:
            waiting = [process for process in waiting if _takes(process) and _gives(process)]
        return [process.wait() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _takes(process: subprocess.Popen[str]) -> bool:
    """Hand it the turn; False if the process has ended."""
    assert process.stdin is not None
    try:
        process.stdin.write(_TAKE)
        process.stdin.flush()
    except BrokenPipeError:
        return False
    return True


def _gives(process: subprocess.Popen[str]) -> bool:
    """Wait until it gives the turn back; False if the process has ended instead."""
    assert process.stdout is not None
    return any(line == _GIVE for line in process.stdout)
