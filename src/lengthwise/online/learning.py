"""The learning process: ``python -m lengthwise.online.learning FD``; see ``process.py``.

It has what nobody else wants of the processor, and may be killed at any time.
"""

from __future__ import annotations

import os
import queue
import warnings
from collections.abc import Callable
from contextlib import suppress

from lengthwise.online.learner import Learner
from lengthwise.online.messages import Learn, ToEngine
from lengthwise.online.program import Inbox, run

NICENESS = 19
"""Of a core that other programs use too, it gets about a seventieth."""

_TURN_S = 1.0
"""Seconds without a message after which the learner looks around all the same."""


class Learning:
    """Hands the engine's messages to a learner."""

    def __init__(self, start: Learn, send: Callable[[ToEngine], None]) -> None:
        self._learner = Learner(start, send)
        self._learner.resume()

    def turn(self, inbox: Inbox) -> None:
        """Wait a second at most, then handle all that has arrived."""
        with suppress(queue.Empty):
            self._learner.add(inbox.get(timeout=_TURN_S))
            while True:
                self._learner.add(inbox.get_nowait())
        self._learner.turn()


if __name__ == "__main__":
    os.nice(NICENESS)
    # The terminal is the server's; what matters is said in its log.
    warnings.simplefilter("ignore")
    run(Learning)
