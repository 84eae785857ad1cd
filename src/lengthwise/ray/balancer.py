"""Who gets which request: a router's view of the replicas, asked and corrected from any thread."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lengthwise.core.prediction import Prediction
from lengthwise.ray.asked import BYTES_A_TOKEN, Asked
from lengthwise.ray.status import Status
from lengthwise.routing import Capacity, Fleet, make_router

_PREFILL, _DECODE = 0.024, 0.02
"""By what share one more prompt token, and one more request, lengthen a step: measured with the
shipped model on a CPU. Only how they compare with the step matters, and with each other."""

_SMOOTHING = 0.05
"""Weight of one prompt in the mean of bytes a token."""


@dataclass(frozen=True)
class Place:
    """Where a request goes.

    Attributes:
        key: names the replica.
        address: of its HTTP server.
        predicted: of the request's answer, None if unknown.
    """

    key: str
    address: str
    predicted: Prediction | None = None


class Balancer:
    """Several replicas as one ingress knows them: what it sent itself, and what they report.

    Args:
        router: one of :data:`lengthwise.routing.ROUTERS`.
        capacity: of a replica that has not reported yet.
        predict: predicts a request's output tokens; asked only if the router reads that.
    """

    def __init__(
        self,
        router: str,
        capacity: Capacity,
        predict: Callable[[Asked, int], Prediction | None] = lambda asked, tokens: None,
    ) -> None:
        self._lock = threading.RLock()
        self._capacity, self._predict = capacity, predict
        self._status: dict[str, Status] = {}
        self._lost: dict[str, float] = {}
        self._asked: dict[str, Asked] = {}
        self._bytes_a_token = BYTES_A_TOKEN
        self._turn = 0
        self.use(router)

    def use(self, router: str) -> None:
        """Another router, which knows nothing yet but how fast the replicas were."""
        with self._lock:
            self._router = make_router(router)
            self._dispatched: Counter[str] = Counter()
            # Reports from before say what others had sent; most of that has ended.
            self._begun = time.time()
            self._fleet = Fleet(self._router, self._predicted)
            for key in self._status.keys() - self._lost.keys():
                self._join(key)

    @property
    def collect(self) -> float:
        """Seconds for which requests are gathered before they are placed together."""
        return self._router.collect

    # What is known of the replicas.

    def sees(self, replicas: Mapping[str, Status | None]) -> None:
        """These are all replicas that take requests, each with its last report if it made one."""
        with self._lock:
            known = {key: status for key, status in replicas.items() if status is not None}
            for gone in self._fleet.instances.keys() - known.keys():
                self._fleet.died(gone)
            self._lost = {key: at for key, at in self._lost.items() if key in replicas}
            for key, status in known.items():
                self._reported(key, status)
            self._status = known

    def _reported(self, key: str, status: Status) -> None:
        before = self._status.get(key)
        new = before is None or status.at > before.at
        if key in self._lost:
            # It lives if it has reported since.
            if status.at <= self._lost[key]:
                return
            del self._lost[key]
        self._status[key] = status
        if key not in self._fleet.instances:
            self._join(key)
        if not new or status.at <= self._begun:
            return
        if status.pace:
            self._fleet.instances[key].capacity = self._capacity_of(status)
        self._fleet.reported(key, status.report)

    def _join(self, key: str) -> None:
        self._fleet.join(key, self._capacity_of(self._status[key]))

    def _capacity_of(self, status: Status) -> Capacity:
        pace = status.pace or self._capacity.pace
        return replace(
            self._capacity,
            seats=status.seats or self._capacity.seats,
            memory=status.memory or math.inf,
            pace=pace,
            prefill_s=_PREFILL * pace,
            decode_s=_DECODE * pace,
        )

    def lost(self, key: str) -> None:
        """It did not answer: it gets nothing until it reports again."""
        with self._lock:
            status = self._status.get(key)
            self._lost[key] = time.time() if status is None else max(time.time(), status.at)
            self._fleet.died(key)

    def addresses(self) -> dict[str, str]:
        """The replicas that seem to be alive, and where they are."""
        with self._lock:
            return {key: self._status[key].address for key in self._alive()}

    def _alive(self) -> Iterable[str]:
        return [str(key) for key in self._fleet.instances]

    # What becomes of requests.

    def submit(self, asked: Asked) -> None:
        """A request came, for the first time or again."""
        with self._lock:
            self._asked[asked.id] = asked
            self._fleet.take_back(asked.id, time.time())
            tokens = asked.tokens(self._bytes_a_token)
            self._fleet.submit(asked.id, tokens, asked.most, asked.prefix)

    def place(self, asked: Asked) -> Place | None:
        """The replica for a request that was submitted; None while none is alive."""
        with self._lock:
            self._fleet.route(time.time())
            key = self._fleet.where(asked.id)
            if key is None:
                self._fleet.waiting = [it for it in self._fleet.waiting if it.id != asked.id]
                return None
            self._dispatched[str(key)] += 1
            predicted = self._fleet.predicted(asked.id)
            return Place(str(key), self._status[str(key)].address, predicted)

    def any(self) -> Place | None:
        """One replica after the other, for requests that are no work; None if none is alive."""
        with self._lock:
            alive = sorted(self._alive())
            self._turn += 1
            if not alive:
                return None
            key = alive[self._turn % len(alive)]
            return Place(key, self._status[key].address)

    def _predicted(self, id: str) -> Prediction | None:
        asked = self._asked[id]
        return self._predict(asked, asked.tokens(self._bytes_a_token))

    def streams(self, id: str, generated: int) -> None:
        """So many tokens of the answer passed to the client."""
        with self._lock:
            self._fleet.streams(id, generated, time.time())

    def finished(self, id: str, tokens: int, prompt: int = 0) -> None:
        """The client has all (0 tokens: it failed or went away); ``prompt``: its true tokens."""
        with self._lock:
            asked = self._asked.pop(id, None)
            self._fleet.finished(id, tokens, time.time())
            if prompt and asked is not None and asked.size:
                ratio = min(max(asked.size / prompt, 0.5), 16.0)
                self._bytes_a_token += _SMOOTHING * (ratio - self._bytes_a_token)

    # For people.

    def describe(self) -> dict[str, Any]:
        """What it knows: loads and addresses by replica, predictions made, lengths that were told.

        ``told``: lengths of requests in flight, in tokens, as their replicas predict them.
        """
        with self._lock:
            instances = self._fleet.instances
            flights = [flight for it in instances.values() for flight in it.flights.values()]
            return {
                "router": self._router.name,
                "predictions": self._fleet.predictions,
                "resubmitted": self._fleet.resubmitted,
                "dispatched": dict(self._dispatched),
                "in_flight": {str(key): it.in_flight for key, it in instances.items()},
                "addresses": self.addresses(),
                "lost": sorted(self._lost),
                "told": {
                    flight.id: flight.generated + flight.reported
                    for flight in flights
                    if not math.isnan(flight.reported)
                },
            }
