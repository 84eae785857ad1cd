"""What stands before several instances: predicts once, dispatches, corrects, sends again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lengthwise.core.prediction import Prediction
from lengthwise.routing.hindsight import Hindsight
from lengthwise.routing.instance import Capacity, Flight, Instance, Key, Report
from lengthwise.routing.prefixes import NOTHING, Prefix
from lengthwise.routing.router import Router


@dataclass(frozen=True)
class Sent:
    """A request, and the instance that it goes to now."""

    id: str
    key: Key


class Fleet:
    """Which instance holds which request, as far as the front knows.

    A request is predicted when it first comes and never again: a requeue or resubmission
    finds the prediction by the request's id.

    Args:
        router: chooses the instances.
        predict: predicts the output tokens of a request by id, None if they are unknown;
            asked only if the router reads predictions.
    """

    def __init__(self, router: Router, predict: Callable[[str], Prediction | None]) -> None:
        self.router = router
        self.hindsight = Hindsight()
        self.instances: dict[Key, Instance] = {}
        self.waiting: list[Flight] = []
        self.predictions = self.resubmitted = 0
        self._predict = predict
        self._where: dict[str, Instance] = {}
        self._known: dict[str, Prediction | None] = {}

    def join(self, key: Key, capacity: Capacity) -> None:
        """An instance comes, or comes back: empty."""
        self.instances[key] = Instance(key, capacity, self.hindsight.left)

    def submit(
        self, id: str, prompt_tokens: int, most: float = math.inf, prefix: Prefix = NOTHING
    ) -> Prediction | None:
        """A request comes, for the first time or again; its prediction, None if unknown.

        ``most``: its max_tokens. ``prefix``: what of its prompt an instance may have cached.
        """
        if id in self._known:
            self.resubmitted += 1
        else:
            self._known[id] = None
            if self.router.predicts:
                self.predictions += 1
                self._known[id] = self._predict(id)
        flight = Flight(id, prompt_tokens, self._known[id], most=most, prefix=prefix)
        self.waiting.append(flight)
        return self._known[id]

    def route(self, now: float) -> list[Sent]:
        """Dispatch all waiting requests; none while no instance is alive."""
        alive = list(self.instances.values())
        if not alive or not self.waiting:
            return []
        for flight in self.waiting:
            flight.expected = min(self.hindsight.left(flight.predicted, 0.0), flight.most)
        sent = []
        for flight in self.router.order(self.waiting):
            instance = self.router.choose(flight, alive, now)
            flight.dispatched = flight.seen = now
            instance.dispatch(flight)
            self._where[flight.id] = instance
            sent.append(Sent(flight.id, instance.key))
        self.waiting = []
        return sent

    def where(self, id: str) -> Key | None:
        """The instance that a request was sent to, if it is in flight."""
        instance = self._where.get(id)
        return None if instance is None else instance.key

    def predicted(self, id: str) -> Prediction | None:
        """What was predicted of a request when it first came."""
        return self._known.get(id)

    def streams(self, id: str, generated: int, now: float) -> None:
        """The front has seen ``generated`` tokens of a request pass."""
        if id in self._where:
            self._where[id].streams(id, generated, now)

    def finished(self, id: str, tokens: int, now: float) -> None:
        """A request was seen to end after ``tokens`` output tokens (0: it failed)."""
        instance = self._where.pop(id, None)
        predicted = self._known.pop(id, None)
        if instance is not None:
            instance.end(id, now)
        if tokens > 0:
            self.hindsight.learn(math.nan if predicted is None else predicted.tokens, tokens)

    def reported(self, key: Key, report: Report) -> None:
        """An instance's load report arrived."""
        instance = self.instances.get(key)
        if instance is None:
            return
        for flight in instance.report(report):
            self._where.pop(flight.id, None)

    def take_back(self, id: str, now: float) -> None:
        """An instance did not take a request; it will be submitted again."""
        instance = self._where.pop(id, None)
        if instance is not None:
            instance.end(id, now)

    def died(self, key: Key) -> list[str]:
        """An instance is gone and gets nothing more; returns the ids of its requests."""
        instance = self.instances.pop(key, None)
        if instance is None:
            return []
        for id in instance.flights:
            self._where.pop(id, None)
        return list(instance.flights)
