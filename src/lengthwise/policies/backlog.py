"""The work clock and the backlog on it, for policies that need no gate."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass

from lengthwise.core.policy import COMMITTED, FIRST, Key, Policy, unpredicted
from lengthwise.core.request import Request

_PART = 16
"""The peak sinks by the admitted work over this, as in :mod:`lengthwise.policies.gate`."""


class Backlog:
    """Work that waits, and a clock that work moves; all in tokens.

    Attributes:
        clock: work admitted so far.
        waiting: work that waits.
        peak: the longest backlog of late.
    """

    def __init__(self) -> None:
        self.clock = self.waiting = self.peak = 0.0
        self._requests = 0

    def add(self, work: float) -> None:
        """A request waits."""
        self.peak = max(self.peak, self.waiting)
        self._requests += 1
        self.waiting += work

    def take(self, work: float) -> None:
        """A request does not wait any more."""
        self._requests -= 1
        # Sums of many floats drift; nothing is nothing.
        self.waiting = max(self.waiting - work, 0.0) if self._requests else 0.0

    def admit(self, work: float) -> float:
        """A waiting request gets a seat; by how much the peak sank."""
        self.take(work)
        self.clock += work
        before = self.peak
        self.peak = max(before - work / _PART, self.waiting)
        return before - self.peak

    def undo(self, work: float, sank: float) -> None:
        """The admission was only a look."""
        self.clock -= work
        self.peak += sank
        self.add(work)


@dataclass(slots=True)
class Known:
    """A request in the system.

    Attributes:
        came: the work clock at its arrival.
        work: what it was taken for last; None if that is unknown.
        predicted: the prediction behind that.
        sank: by how much its admission lowered the peak; None while it waits.
    """

    came: float
    work: float | None
    predicted: float | None = None
    sank: float | None = None


class Clocked(Policy):
    """Ranks by work and by the work clock at arrival; a started request runs to its end."""

    preemptive = False
    timed = True

    def __init__(self) -> None:
        self._backlog = Backlog()
        self._known: dict[str, Known] = {}

    @abstractmethod
    def work(self, request: Request) -> float | None:
        """Work of a waiting request, at least 1; None if it is unknown."""

    @abstractmethod
    def waiting_rank(self, came: float, work: float) -> float:
        """Rank, above 0, of a request that came when the work clock stood there."""

    @abstractmethod
    def waiting_lane(self, work: float) -> Hashable:
        """Requests of one lane never overtake each other."""

    def finished(self, request: Request, predicted: float | None) -> None:
        """A request has its whole answer, and was ranked by this prediction."""

    # Order.

    def rank(self, request: Request) -> float:
        if request.started:
            return COMMITTED
        known = self._known.get(request.id) or self._meet(request)
        if known.work is None:
            return unpredicted(request)
        return self.waiting_rank(known.came, known.work)

    def key(self, request: Request) -> Key:
        return FIRST if request.started else (self.rank(request),)

    def lane(self, request: Request) -> Hashable:
        known = self._known.get(request.id) or self._meet(request)
        if request.started or known.work is None:
            return self.rank(request)
        return self.waiting_lane(known.work)

    def place(self, request: Request) -> Key:
        return ()

    # Events.

    def enters(self, request: Request) -> None:
        """It arrived, or was only looked at; one that was evicted had its turn already."""
        if request.started:
            return
        known = self._known.get(request.id)
        if known is None:
            known = self._known[request.id] = self._meet(request)
            self._backlog.add(known.work or 0.0)
        elif known.sank is not None:
            self._backlog.undo(known.work or 0.0, known.sank)
            known.sank = None

    def changes(self, request: Request) -> None:
        known = self._known.get(request.id)
        if known is None or known.sank is not None:
            return
        self._backlog.take(known.work or 0.0)
        known.work, known.predicted = self.work(request), request.initial
        self._backlog.add(known.work or 0.0)

    def exits(self, request: Request) -> None:
        known = self._known.get(request.id)
        if known is not None and known.sank is None:
            known.sank = self._backlog.admit(known.work or 0.0)

    def leave(self, request: Request) -> None:
        known = self._known.pop(request.id, None)
        if known is None:
            return
        if known.sank is None:
            self._backlog.take(known.work or 0.0)
        elif not request.aborted:
            self.finished(request, known.predicted)

    def _meet(self, request: Request) -> Known:
        return Known(self._backlog.clock, self.work(request), request.initial)
