"""The scoring process: ``python -m lengthwise.online.service FD``; see ``process.py``.

Scores prompts in the batches that have piled up.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

from lengthwise.core.query import Query
from lengthwise.online.messages import Note, Scored, Serve, ToEngine
from lengthwise.online.program import Inbox, run
from lengthwise.online.scorer import Scorer

BATCH = 16
"""Most prompts scored at once: the first of them waits for the last."""


class Service:
    """Answers the engine's messages, one after another.

    Args:
        start: what to serve.
        send: sends a message to the engine.

    Raises:
        UserError: if the predictor cannot be loaded.
    """

    def __init__(self, start: Serve, send: Callable[[ToEngine], None]) -> None:
        self._send = send
        self._scorer = Scorer.load(start.probe, start.model)
        self._scorer.warm_up()
        send(Note(f"{self._scorer.predictor.name} scores prompts in its own process"))

    def turn(self, inbox: Inbox) -> None:
        """Wait for a request, then score all that have arrived, a batch at most."""
        asked: list[Query] = [inbox.get()]
        while len(asked) < BATCH:
            try:
                asked.append(inbox.get_nowait())
            except queue.Empty:
                break
        start = time.thread_time()
        self._scorer.error = ""
        found = self._scorer.predictions(asked)
        spent = time.thread_time() - start
        self._send(Scored([each.id for each in asked], found, spent, self._scorer.error))


if __name__ == "__main__":
    run(Service)
