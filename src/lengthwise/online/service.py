"""The prediction process: ``python -m lengthwise.online.service FD``; see ``process.py``.

Scores prompts in the batches that have piled up, and learns on a thread beside it.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

from lengthwise.core.query import Query
from lengthwise.online.learner import Learner
from lengthwise.online.messages import Counters, Finished, Note, Scored, Start, Stopped, ToEngine
from lengthwise.online.scorer import Scorer

BATCH = 16
"""Most prompts scored at once: the first of them waits for the last."""


class Service:
    """Answers the engine's messages, one after another.

    Args:
        start: what to serve.
        send: sends a message to the engine; called from two threads.

    Raises:
        UserError: if the predictor cannot be loaded.
    """

    def __init__(self, start: Start, send: Callable[[ToEngine], None]) -> None:
        self._send = send
        self._scorer = Scorer.load(start.probe, start.model)
        self._learner = None
        if start.learning is not None:
            self._learner = Learner(self._scorer, start.learning, start.model, send)
            self._learner.resume()
        self._scorer.warm_up()
        counters = self._learner.counters if self._learner else Counters()
        send(Note(f"{self._scorer.predictor.name} scores prompts in its own process", counters))

    def run(self, inbox: queue.SimpleQueue[Query | Finished]) -> None:
        """Serve for ever."""
        while True:
            self.turn(inbox)

    def turn(self, inbox: queue.SimpleQueue[Query | Finished]) -> None:
        """Wait for a message, then answer all that have arrived, a batch at most."""
        asked: list[Query] = []
        message = inbox.get()
        while True:
            if isinstance(message, Query):
                asked.append(message)
            elif self._learner is not None:
                self._learner.add(message)
            if len(asked) == BATCH:
                break
            try:
                message = inbox.get_nowait()
            except queue.Empty:
                break
        if asked:
            self._score(asked)
        if self._learner is not None and self._learner.due():
            self._learner.begin()

    def _score(self, asked: list[Query]) -> None:
        start = time.thread_time()
        self._scorer.error = ""
        found = self._scorer.predictions(asked)
        spent = time.thread_time() - start
        self._send(Scored([each.id for each in asked], found, spent, self._scorer.error))


def main() -> None:
    """Serve the engine at the other end of the connection until it is gone."""
    connection: Connection[ToEngine, Start | Query | Finished] = Connection(int(sys.argv[1]))
    _step_back()
    lock = threading.Lock()

    def send(message: ToEngine) -> None:
        with lock:
            connection.send(message)

    try:
        start = connection.recv()
        assert isinstance(start, Start)
        inbox: queue.SimpleQueue[Query | Finished] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(connection, inbox), daemon=True).start()
        Service(start, send).run(inbox)
    except (EOFError, OSError):
        os._exit(0)
    except Exception as error:
        with suppress(OSError):
            send(Stopped(f"{type(error).__name__}: {error}".splitlines()[0]))
        os._exit(1)


def _listen(
    connection: Connection[ToEngine, Start | Query | Finished],
    inbox: queue.SimpleQueue[Query | Finished],
) -> None:
    """Empties the connection, so that the engine's end never fills up; ends with it."""
    try:
        while True:
            message = connection.recv()
            assert not isinstance(message, Start)
            inbox.put(message)
    except (EOFError, OSError):
        # The engine is gone; nothing waits for what is being computed here.
        os._exit(0)


def _step_back() -> None:
    """One thread, on any core: the engine may have bound itself to some."""
    import torch

    torch.set_num_threads(1)
    with suppress(OSError, AttributeError):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


if __name__ == "__main__":
    main()
