"""Predictions from another process, for a loop that must never wait."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from lengthwise.core.prediction import Prediction
from lengthwise.core.query import Query
from lengthwise.core.text import visible
from lengthwise.online.messages import Note, Scored, Serve, ToEngine
from lengthwise.online.process import SCORING, Child

logger = logging.getLogger("vllm.lengthwise")

FAILED = "lengthwise: the predictor failed (%s): such requests keep the order of arrival"

WAITING = 8192
"""Most requests that wait for a prediction; further ones get none."""

WINDOW = 64
"""Most requests sent and not answered yet; those behind them can still be taken back."""

START_S = 300.0
"""Seconds for the process to import and load everything, on a busy machine."""

RESTARTS = 3
"""Restarts, after which there are no predictions any more."""


class Client:
    """Sends prompts to the prediction process and hands out its predictions.

    If the process crashes, or is silent for longer than ``timeout`` seconds while it has
    something to do, it is started again, ``RESTARTS`` times in all. Meanwhile, and after
    that, requests go without a prediction. Each of this is one line in the log.

    Args:
        begin: starts a process with what it serves.
        timeout: seconds.
        clock: seconds, by which silence counts.
    """

    def __init__(
        self,
        begin: Callable[[], Child],
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._begin, self._timeout = begin, timeout
        self.clock = clock
        self._waiting: dict[str, Query] = {}
        self._sent: set[str] = set()
        self._live: dict[str, Query] = {}
        self._lost: list[str] = []
        self.scored = self.dropped = self.failed = self.restarts = 0
        self.seconds = 0.0
        self.child: Child | None = None
        self._start()

    @classmethod
    def of(cls, start: Serve, timeout: float) -> Client:
        """The client of a process that serves this."""
        return cls(lambda: Child(lambda: start, SCORING), timeout)

    def submit(self, asked: Query) -> bool:
        """Send an arrived request for scoring; False if there is no room."""
        if self.child is None:
            return False
        if len(self._waiting) >= WAITING:
            self.dropped += 1
            return False
        self._waiting[asked.id] = self._live[asked.id] = asked
        return True

    def ready(self) -> list[tuple[str, Prediction | None]]:
        """Request ids and predictions since the last call; never a gone request's.

        None says that there will be none.
        """
        found: list[tuple[str, Prediction | None]] = []
        if self.child is None:
            return found
        for message in self.child.received():
            found += self._handle(message)
        self._watch()
        found += [(id, None) for id in self._lost]
        self._lost.clear()
        while self.up and self._waiting and len(self._sent) < WINDOW:
            self._send(self._waiting.pop(next(iter(self._waiting))))
        return found

    def forget(self, id: str) -> None:
        """A request is gone: its prediction is not needed any more."""
        self._waiting.pop(id, None)
        self._live.pop(id, None)

    def stats(self) -> dict[str, float]:
        """Counters of scoring, its ``seconds`` included."""
        return {
            "up": self.up,
            "scored": self.scored,
            "dropped": self.dropped,
            "failed": self.failed,
            "restarts": self.restarts,
            "seconds": self.seconds,
            "given_up": self.child is None,
        }

    def close(self) -> None:
        """End the process."""
        child, self.child = self.child, None
        if child is not None:
            child.kill()
            child.join()

    def _start(self) -> None:
        self.child = self._begin()
        self.up, self._heard = False, self.clock()

    def _send(self, asked: Query) -> None:
        assert self.child is not None
        if not self._sent:
            # It had nothing to do, so its silence counts from now on.
            self._heard = self.clock()
        self._sent.add(asked.id)
        self.child.send(asked)

    def _handle(self, message: ToEngine) -> list[tuple[str, Prediction]]:
        self._heard = self.clock()
        self.up = True
        if isinstance(message, Scored):
            return self._take(message)
        if isinstance(message, Note):
            logger.info("lengthwise: %s", visible(message.line))
        return []

    def _take(self, message: Scored) -> list[tuple[str, Prediction]]:
        if message.error and not self.failed:
            logger.warning(FAILED, visible(message.error))
        self._sent.difference_update(message.ids)
        self.seconds += message.seconds
        known = {
            id: prediction
            for id, prediction in zip(message.ids, message.predictions, strict=True)
            if prediction is not None
        }
        self.scored += len(known)
        self.failed += len(message.ids) - len(known)
        self._lost += [id for id in message.ids if id not in known and id in self._live]
        return [(id, prediction) for id, prediction in known.items() if id in self._live]

    def _watch(self) -> None:
        """Give up on a process that ended or is stuck."""
        assert self.child is not None
        silent = self.clock() - self._heard
        if self.child.ended is not None:
            self._lose(self.child.ended)
        elif silent > (self._timeout if self.up else START_S) and (self._sent or not self.up):
            self.child.kill()
            self._lose(f"it was silent for {silent:.0f} s")

    def _lose(self, reason: str) -> None:
        # What it was at may be what ended it: those requests are not sent again.
        self._lost += [id for id in self._sent if id in self._live]
        self._sent.clear()
        again = self.restarts < RESTARTS
        logger.warning(
            "lengthwise: no predictions from prompts, order of arrival instead: the process that "
            "makes them is gone (%s); %s",
            reason,
            "it is started again" if again else "it is not started any more",
        )
        if again:
            self.restarts += 1
            self._start()
            return
        self.child = None
        self._lost += self._waiting
        self._waiting.clear()
        self._live.clear()
