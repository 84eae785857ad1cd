"""Ray Serve's request router: hears of the replicas for our balancer, and chooses by it."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid

from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica

from lengthwise.core.prediction import Prediction
from lengthwise.ray import registry
from lengthwise.ray.asked import Asked
from lengthwise.ray.balancer import Balancer
from lengthwise.ray.predicting import Predicting
from lengthwise.ray.status import Status, status_of
from lengthwise.routing import Capacity, make_router

logger = logging.getLogger("ray.serve")

_PAUSE_S = 0.2
"""Before replicas are looked for again where there is none to choose."""


class LengthwiseRouter(RequestRouter):  # type: ignore[misc]  # Ray has no types
    """Feeds a :class:`Balancer` with what Ray Serve knows of the replicas.

    The route's ingress sends HTTP requests by its balancer alone. Calls through a Ray Serve
    handle come to :meth:`choose_replicas`.
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
        predict = Predicting(model, probe)
        if probe is not None and make_router(router).predicts:
            predict.load()
        self.balancer = Balancer(router, Capacity(seats, ranked=ranked), predict)
        self._ids: dict[str, str] = {}
        registry.BALANCERS.append(self.balancer)

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        """Replicas came or went, or reported their load."""
        super().update_replicas(replicas)
        try:
            found = {it.replica_id.unique_id: self.status(it) for it in replicas}
            self.balancer.sees(found)
        except Exception:
            # Ray Serve would not tell of replicas any more.
            logger.exception("lengthwise could not read what replicas report")

    def status(self, replica: RunningReplica) -> Status | None:
        """What a replica reported last; None as long as it is not to get requests."""
        return status_of(replica.routing_stats)

    def asked(self, pending: PendingRequest) -> Asked:
        """What a call through a handle asks for: nothing that is known."""
        return Asked(uuid.uuid4().hex, {})

    def placed(self, pending: PendingRequest, predicted: Prediction | None) -> None:
        """A call has a place, and perhaps a prediction that may go along."""

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """The replica for a call, and then the others; called again if none took it.

        It raises nothing, for the call would wait for ever, and pauses before it names none.
        """
        try:
            if pending_request is not None:
                first = self._place(pending_request)
                chosen = [it for it in candidate_replicas if it.replica_id.unique_id == first]
                if chosen:
                    return [chosen, [it for it in candidate_replicas if it not in chosen]]
        except Exception:
            logger.exception("lengthwise could not choose a replica: any may do")
        if not candidate_replicas:
            await asyncio.sleep(_PAUSE_S)
        return [random.sample(candidate_replicas, len(candidate_replicas))]

    def _place(self, pending: PendingRequest) -> str | None:
        internal = pending.metadata.internal_request_id
        if internal in self._ids:
            # The replica did not take it.
            self.balancer.finished(self._ids.pop(internal), 0)
        asked = self.asked(pending)
        self.balancer.submit(asked)
        place = self.balancer.place(asked)
        self._ids[internal] = asked.id
        if place is None:
            return None
        self.placed(pending, place.predicted)
        return place.key

    def on_replica_actor_died(self, replica_id: ReplicaID) -> None:
        """It gets nothing more."""
        super().on_replica_actor_died(replica_id)
        self.balancer.lost(replica_id.unique_id)

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:
        """A call has left a replica, whatever the reason."""
        super().on_request_completed(replica_id, internal_request_id)
        id = self._ids.pop(internal_request_id, None)
        if id is not None:
            self.balancer.finished(id, 0)
