"""Gittins' index of the predicted distribution, preemptive."""

from __future__ import annotations

from lengthwise.core.lengths import Lengths
from lengthwise.core.policy import Policy, Source, unpredicted
from lengthwise.core.prediction import LEAST, Distributions
from lengthwise.core.request import Request

_EVERY = 16
"""Tokens after which the index of a running request is computed anew."""


class Gittins(Policy):
    """The least inf over D of E[min(S, D)] / P(S <= D), S what is left of the answer.

    Where only the law of sizes is known, this order has the least mean latency in the M/G/1
    queue (Gittins 1989). The law is the predicted one, given the tokens generated so far. A
    point's index is what is left of it, as in SPRPT. The index is in tokens; it may grow while a
    request runs, and is renewed every 16 tokens.
    """

    name = "gittins"
    source: Source = "probe"
    preemptive = True
    steady = False

    def __init__(self) -> None:
        self._own: dict[str, tuple[Distributions, int, Distributions]] = {}

    def rank(self, request: Request) -> float:
        now = request.prediction
        if now is None:
            return unpredicted(request)
        batch, since = now.batch, now.since - now.since % _EVERY
        if batch is None:
            return now.mean
        if not since:
            # Those that were predicted together are computed together.
            return max(batch.after(0).read(now.row, Lengths.gittins), LEAST)
        own = self._own.get(request.id)
        if own is None or own[0] is not batch or own[1] != now.row:
            # From here on it advances by itself.
            own = self._own[request.id] = (batch, now.row, batch.alone(now.row))
        return max(own[2].after(since).read(0, Lengths.gittins), LEAST)

    def preemptible(self, request: Request) -> bool:
        return request.predicted

    def holds(self, request: Request) -> float:
        now = request.prediction
        if now is None or now.batch is None:
            return super().holds(request)
        return _EVERY - now.since % _EVERY

    def leave(self, request: Request) -> None:
        self._own.pop(request.id, None)
