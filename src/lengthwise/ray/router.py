"""Ray Serve's request router, choosing by a lengthwise router."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica

from lengthwise.core.handed_on import handed_on, plain
from lengthwise.core.prediction import Prediction
from lengthwise.core.query import Query
from lengthwise.online.scorer import Scorer
from lengthwise.ray import registry
from lengthwise.routing import Capacity, Fleet, Report, make_router
from lengthwise.routing.instance import Instance

_PREFILL, _DECODE = 0.024, 0.02
"""By what share one more prompt token, and one more request, lengthen a step: measured with the
shipped model on a CPU. Only how they compare with the step matters, and with each other."""


class LengthwiseRouter(RequestRouter):  # type: ignore[misc]  # Ray has no types
    """Dispatches requests that are a dict with ``id``, ``prompt_ids`` and ``max_tokens``.

    The prediction joins that dict as ``predicted``, in plain form, and so travels to the
    replica, whose scheduler need not make it again; a request sent again brings it along.
    """

    # A replica's Python is busy for a step at a time; that does not mean it is dead.
    queue_len_response_deadline_s = 5.0

    def initialize_state(
        self, router: str, model: str, probe: str | None, seats: int, ranked: bool
    ) -> None:
        """Called by Ray Serve with what the deployment was given.

        Raises:
            UserError: for an unknown router, or a predictor that does not fit.
        """
        self._model, self._probe = model, probe
        self._scorer: Scorer | None = None
        self._capacity = Capacity(seats, ranked=ranked)
        self._requests: dict[str, dict[str, Any]] = {}
        self._ids: dict[str, str] = {}
        self._paces: dict[ReplicaID, float] = {}
        self._gathering: asyncio.Task[None] | None = None
        self._begin(router)
        registry.ROUTERS.append(self)

    def _begin(self, router: str) -> None:
        """A router that knows nothing yet but how fast the replicas were."""
        self._router = make_router(router)
        if self._router.predicts and self._probe and self._scorer is None:
            self._scorer = Scorer.load(self._probe, self._model)
            self._scorer.warm_up()
        self._dispatched: Counter[str] = Counter()
        # Reports from before say what others had sent; most of that has ended.
        self._begun = time.time()
        self._told: dict[ReplicaID, float] = {}
        self.fleet = Fleet(self._router, self._predict)
        for replica in self.curr_replicas:
            self._join(replica)

    def _join(self, key: ReplicaID) -> None:
        self.fleet.join(key, self._at(self._paces.get(key, self._capacity.pace)))

    def _at(self, pace: float) -> Capacity:
        return replace(
            self._capacity, pace=pace, prefill_s=_PREFILL * pace, decode_s=_DECODE * pace
        )

    def use(self, router: str) -> Future[None]:
        """Another router, which starts anew; from any thread, best while all are idle."""

        async def begin() -> None:
            self._begin(router)

        return asyncio.run_coroutine_threadsafe(begin(), self._event_loop)

    @property
    def max_num_routing_tasks(self) -> int:
        """As many as may be gathered, not two a replica."""
        return int(self.max_num_routing_tasks_cap)

    def _predict(self, id: str) -> Prediction | None:
        request = self._requests[id]
        if request.get("predicted") is not None:
            return handed_on(request["predicted"])
        if self._scorer is None:
            return None
        asked = Query(id, request["prompt_ids"], "", request["max_tokens"])
        found = self._scorer.predictions([asked])[0]
        return None if found is None else found._replace(source="router")

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """The one replica for this request; called again if that one did not take it."""
        if pending_request is None:
            return [candidate_replicas]
        request = pending_request.args[0]
        id = request["id"]
        self._requests[id] = request
        self._ids[pending_request.metadata.internal_request_id] = id
        self.fleet.take_back(id, time.time())
        predicted = self.fleet.submit(id, len(request["prompt_ids"]), request["max_tokens"])
        if predicted is not None:
            request["predicted"] = plain(predicted)
        await self._gathered()
        self.fleet.route(time.time())
        chosen = self.curr_replicas.get(self.fleet.where(id))
        if chosen is None:
            return []
        self._dispatched[chosen.replica_id.unique_id] += 1
        return [[chosen]]

    async def _gathered(self) -> None:
        """Until the moment is over for which requests are gathered."""
        if self._router.collect == 0.0:
            return
        if self._gathering is None or self._gathering.done():
            self._gathering = asyncio.create_task(asyncio.sleep(self._router.collect))
        await asyncio.shield(self._gathering)

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        """Replicas came or went, or reported their load."""
        super().update_replicas(replicas)
        now = {replica.replica_id for replica in replicas}
        for gone in self.fleet.instances.keys() - now:
            self.fleet.died(gone)
        self._paces = {key: pace for key, pace in self._paces.items() if key in now}
        for replica in replicas:
            key = replica.replica_id
            if key not in self.fleet.instances:
                self._join(key)
            stats = replica.routing_stats
            if stats and stats["at"] > self._told.get(key, self._begun):
                self._told[key] = stats["at"]
                if stats["pace"] > 0.0:
                    self._paces[key] = stats["pace"]
                    self.fleet.instances[key].capacity = self._at(stats["pace"])
                self.fleet.reported(key, Report(**stats))

    def on_replica_actor_died(self, replica_id: ReplicaID) -> None:
        """It gets nothing more; those on their way to it come again by themselves."""
        super().on_replica_actor_died(replica_id)
        self.fleet.died(replica_id)

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:
        """A request has left a replica, whatever the reason."""
        super().on_request_completed(replica_id, internal_request_id)
        id = self._ids.pop(internal_request_id, None)
        if id is not None and self.fleet.where(id) == replica_id:
            self.fleet.take_back(id, time.time())

    def describe(self) -> dict[str, Any]:
        """What it knows, for people and tests: loads by replica, and predictions made.

        ``told``: lengths of requests in flight, in tokens, as their replicas predict them.
        """
        instances: dict[ReplicaID, Instance] = dict(self.fleet.instances)
        loads = {key.unique_id: each.in_flight for key, each in instances.items()}
        flights = [flight for each in instances.values() for flight in list(each.flights.values())]
        return {
            "router": self._router.name,
            "predictions": self.fleet.predictions,
            "resubmitted": self.fleet.resubmitted,
            "dispatched": dict(self._dispatched),
            "in_flight": loads,
            "told": {
                flight.id: flight.generated + flight.reported
                for flight in flights
                if not math.isnan(flight.reported)
            },
        }

    def streams(self, id: str, generated: int) -> None:
        """So many tokens passed to the client; from any thread."""
        self._event_loop.call_soon_threadsafe(self.fleet.streams, id, generated, time.time())

    def finished(self, id: str, tokens: int) -> None:
        """The client has all (0: it failed or went away); from any thread."""
        self._event_loop.call_soon_threadsafe(self._forget, id, tokens)

    def _forget(self, id: str, tokens: int) -> None:
        self._requests.pop(id, None)
        self.fleet.finished(id, tokens, time.time())
