"""``lengthwise``: least work first, behind a gate that bounds everybody's wait."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

from lengthwise.core.policy import COMMITTED, FIRST, Key, Overtaking, Policy, Source
from lengthwise.core.request import Request
from lengthwise.policies.gate import Admission, Epoch, Gate
from lengthwise.policies.sizes import Sizes
from lengthwise.policies.work import Capacity

_LANE = math.log(1.25)


@dataclass(frozen=True, slots=True)
class Rating:
    """What a request was taken for when it was ranked last.

    Attributes:
        predicted: output tokens that were predicted, if any were.
        answer: output tokens that are expected.
        work: of prompt and answer, in tokens.
        lane: requests of about the same work keep their order.
    """

    predicted: float | None
    answer: float
    work: float
    lane: float

    @classmethod
    def of(cls, predicted: float | None, answer: float, work: float) -> Rating:
        """With the lane of this work."""
        return cls(predicted, answer, work, float(round(math.log(max(work, 1.0)) / _LANE)))


@dataclass(slots=True)
class _Known:
    """A request in the system; ``admission`` once it was taken from the queue."""

    rating: Rating
    epoch: Epoch
    admission: Admission | None = None


class Lengthwise(Policy):
    """The least work first: the prompt and the answer that is expected; never preempts.

    Who may go first is bounded: on a clock of admitted work nobody waits much longer than
    under FCFS (:class:`lengthwise.policies.gate.Gate`). What is expected of an answer is
    learned from those that finished, so it also works without a predictor. Nobody is admitted
    whose expected memory does not last (:mod:`lengthwise.core.foresight`).

    Args:
        tolerance: how much longer than under FCFS the tail may wait, from 0 to below 1.

    Raises:
        ValueError: if it is outside [0, 1).
    """

    name = "lengthwise"
    source: Source = "probe"
    preemptive = False
    timed = True
    reads_cache = True
    needs_predictions = False
    foresees = True

    def __init__(self, tolerance: float = 0.05) -> None:
        if not 0.0 <= tolerance < 1.0:
            raise ValueError(f"the tail tolerance is from 0 to below 1, not {tolerance}")
        self.tolerance = tolerance
        self._gate = Gate(tolerance)
        self._sizes = Sizes()
        self._capacity = Capacity()
        self._known: dict[str, _Known] = {}

    # Order.

    @property
    def version(self) -> int | None:
        return self._gate.changes

    @property
    def overtaking(self) -> Overtaking:
        gate = self._gate
        return Overtaking(self.tolerance, gate.backlog, gate.peak, gate.saved, gate.clock)

    def rank(self, request: Request) -> float:
        return COMMITTED if request.started else self._rating(request).lane

    def key(self, request: Request) -> Key:
        if request.started:
            return FIRST
        known = self._known.get(request.id)
        if known is None:
            return (0.0, self.rank(request))
        rating = known.rating
        if self._gate.passes(known.epoch, rating.work):
            return (0.0, rating.lane)
        # First only where a wrapper keeps back whom the gate waits for: then by epochs.
        return (1.0, float(known.epoch.number), rating.lane)

    def lane(self, request: Request) -> Hashable:
        return self.rank(request)

    def place(self, request: Request) -> Key:
        return ()

    # Admission.

    def expected(self, request: Request) -> float:
        if request.probed:
            return self._sizes.remaining(request)
        known = self._known.get(request.id)
        rating = self._rate(request) if known is None else known.rating
        return max(rating.answer - request.generated, 0.0)

    def may_overtake(self, request: Request) -> bool:
        known = self._known.get(request.id)
        return known is not None and self._gate.passes(known.epoch, known.rating.work)

    # Events.

    def begins(self, seats: int, kv_tokens: int) -> None:
        self._capacity = Capacity(seats, kv_tokens)

    def enters(self, request: Request) -> None:
        """It arrived, or was only looked at; one that was evicted had its turn already."""
        if request.started:
            return
        known = self._known.get(request.id)
        if known is None:
            rating = self._rate(request)
            self._known[request.id] = _Known(rating, self._gate.enter(rating.work))
        elif known.admission is not None:
            self._gate.undo(known.epoch, known.rating.work, known.admission)
            known.admission = None

    def changes(self, request: Request) -> None:
        known = self._known.get(request.id)
        if known is None or known.admission is not None:
            return
        before, known.rating = known.rating, self._rate(request)
        self._gate.rate(known.epoch, before.work, known.rating.work)

    def exits(self, request: Request) -> None:
        known = self._known.get(request.id)
        if known is not None and known.admission is None:
            known.admission = self._gate.admit(known.epoch, known.rating.work)

    def leave(self, request: Request) -> None:
        known = self._known.pop(request.id, None)
        if known is None:
            return
        rating = known.rating
        if known.admission is None:
            self._gate.abandon(known.epoch, rating.work)
            return
        self._gate.finish(rating.work)
        self._sizes.finished(request, rating.predicted)

    # What a request is taken for.

    def _rating(self, request: Request) -> Rating:
        known = self._known.get(request.id)
        return self._rate(request) if known is None else known.rating

    def _rate(self, request: Request) -> Rating:
        answer = self._sizes.answer(request)
        return Rating.of(request.initial, answer, self._capacity.work(request, answer))
